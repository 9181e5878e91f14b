"""One suite for both guards: what a session of aiohttp refuses, a client of httpx refuses too."""

import asyncio
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nexus_shared.outbound.addresses import IPAddress, OutboundPolicy, OutboundRefused
from nexus_shared.outbound.aiohttp_guard import JudgingResolver, guarded_session
from nexus_shared.outbound.httpx_guard import guarded_client
from nexus_shared.outbound.names import SystemNames

NAME = "hooks.example.com"


class ScriptedNames:
    """A name server: each look-up gets the next answer, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = [[ip_address(address) for address in answer] for answer in answers]
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[IPAddress]:
        self.asked.append((host, port))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if not answer:
            raise OSError(f"{host} has no address")
        return answer


Call = Callable[..., Awaitable[tuple[int, str]]]


async def by_aiohttp(
    policy: OutboundPolicy,
    names: ScriptedNames,
    *urls: str,
    context: ssl.SSLContext | None = None,
    follow: bool = False,
) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=5, connect=2)
    async with guarded_session(policy, timeout=timeout, lookup=names, ssl=context) as session:
        for url in urls:
            async with session.get(url, allow_redirects=follow) as answer:
                result = answer.status, await answer.text()
    return result


async def by_httpx(
    policy: OutboundPolicy,
    names: ScriptedNames,
    *urls: str,
    context: ssl.SSLContext | None = None,
    follow: bool = False,
) -> tuple[int, str]:
    async with guarded_client(
        policy, timeout=httpx.Timeout(5, connect=2), lookup=names, ssl=context
    ) as client:
        for url in urls:
            answer = await client.get(url, follow_redirects=follow)
    return answer.status_code, answer.text


@pytest.fixture(params=[by_aiohttp, by_httpx])
def call(request: pytest.FixtureRequest) -> Call:
    made: Call = request.param
    return made


class Site:
    """A server on 127.0.0.1 that answers with the peer's connection number, the Host header and the server name."""

    def __init__(self) -> None:
        self.connections = 0
        self.names: list[str | None] = []
        self.answer = "200 OK\r\n"
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                host = next(line for line in head.decode().split("\r\n") if line.lower().startswith("host:"))
                text = f"{self.connections} {host[5:].strip()}"
                writer.write(f"HTTP/1.1 {self.answer}Content-Length: {len(text)}\r\n\r\n{text}".encode())
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def a_site(context: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


def allowing(*pairs: tuple[str, int]) -> OutboundPolicy:
    return OutboundPolicy(frozenset(pairs))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[fec0::1]",
        "169.254.169.254",
        "localhost",
    ],
)
async def test_a_host_that_means_an_inner_address_is_refused_before_any_look_up(
    call: Call, host: str
) -> None:
    names = ScriptedNames(["127.0.0.1"])
    with pytest.raises((OutboundRefused, httpx.InvalidURL)):
        await call(OutboundPolicy(), names, f"https://{host}/")
    assert names.asked == []


@pytest.mark.parametrize(
    "answer",
    [["10.0.0.5"], ["1.1.1.1", "10.0.0.5"], ["::ffff:127.0.0.1"], ["2606:4700:4700::1111", "fe80::1"]],
    ids=["alias of an inner host", "one of two answers is inner", "mapped", "link local"],
)
async def test_a_name_with_an_inner_answer_is_refused(call: Call, answer: list[str]) -> None:
    with pytest.raises(OutboundRefused):
        await call(OutboundPolicy(), ScriptedNames(answer), f"https://{NAME}/")


async def test_the_judged_answer_is_the_one_connected(call: Call) -> None:
    async with a_site() as site:
        names = ScriptedNames(["127.0.0.1"], ["127.0.0.2"])
        result = await call(allowing((NAME, site.port)), names, f"http://{NAME}:{site.port}/")
    assert result == (200, f"1 {NAME}:{site.port}")
    assert len(names.asked) == 1


async def test_the_next_answer_is_tried_when_the_first_does_not_listen(call: Call) -> None:
    async with a_site() as site:
        names = ScriptedNames(["127.0.0.9", "127.0.0.1"])
        status, _ = await call(allowing((NAME, site.port)), names, f"http://{NAME}:{site.port}/")
    assert status == 200


async def test_a_kept_connection_is_used_again_without_a_look_up(call: Call) -> None:
    async with a_site() as site:
        names = ScriptedNames(["127.0.0.1"], ["10.0.0.5"])
        url = f"http://{NAME}:{site.port}/"
        _, text = await call(allowing((NAME, site.port)), names, url, url)
    assert text.startswith("1 ")
    assert len(names.asked) == 1


async def test_a_kept_connection_is_not_used_for_another_name(call: Call) -> None:
    async with a_site() as site:
        names = ScriptedNames(["127.0.0.1"])
        with pytest.raises(OutboundRefused):
            await call(
                allowing((NAME, site.port)),
                names,
                f"http://{NAME}:{site.port}/",
                f"http://other.example.com:{site.port}/",
            )
    assert site.connections == 1


async def test_a_redirect_is_not_followed(call: Call) -> None:
    async with a_site() as site:
        site.answer = "302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
        status, _ = await call(
            allowing(("127.0.0.1", site.port)), ScriptedNames([]), f"http://127.0.0.1:{site.port}/"
        )
    assert status == 302


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/", "https://10.0.0.5/", "https://inner.example.com/"])
async def test_a_redirect_followed_by_mistake_is_judged_again(call: Call, target: str) -> None:
    async with a_site() as site:
        site.answer = f"302 Found\r\nLocation: {target}\r\n"
        policy, names = allowing(("127.0.0.1", site.port)), ScriptedNames(["10.0.0.5"])
        with pytest.raises(OutboundRefused):
            await call(policy, names, f"http://127.0.0.1:{site.port}/", follow=True)


async def test_a_proxy_of_the_environment_is_ignored(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with a_site() as site:
        status, _ = await call(
            allowing(("127.0.0.1", site.port)), ScriptedNames([]), f"http://127.0.0.1:{site.port}/"
        )
    assert status == 200


async def test_tls_proves_the_name_and_not_the_address(call: Call, tmp_path: Path) -> None:
    server, client = contexts_for(NAME, tmp_path)
    asked: list[str | None] = []
    server.sni_callback = lambda _, name, __: asked.append(name)
    async with a_site(server) as site:
        policy, names = allowing((NAME, site.port)), ScriptedNames(["127.0.0.1"])
        _, text = await call(policy, names, f"https://{NAME}:{site.port}/", context=client)
    assert asked == [NAME]
    assert text == f"1 {NAME}:{site.port}"


async def test_a_certificate_for_another_name_is_no_answer(call: Call, tmp_path: Path) -> None:
    server, client = contexts_for("other.example.com", tmp_path)
    async with a_site(server) as site:
        policy, names = allowing((NAME, site.port)), ScriptedNames(["127.0.0.1"])
        with pytest.raises((aiohttp.ClientConnectorCertificateError, httpx.ConnectError)):
            await call(policy, names, f"https://{NAME}:{site.port}/", context=client)


async def test_a_name_without_an_answer_is_a_connection_error_and_no_refusal(call: Call) -> None:
    with pytest.raises((aiohttp.ClientConnectorError, httpx.ConnectError)):
        await call(OutboundPolicy(), ScriptedNames([]), f"https://{NAME}/")


async def test_the_socket_is_refused_even_where_nothing_was_judged_before() -> None:
    resolver = JudgingResolver(OutboundPolicy(), ScriptedNames(["127.0.0.1"]))
    connector = aiohttp.TCPConnector(resolver=resolver, socket_factory=resolver.open_socket)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(OutboundRefused):
            await session.get("http://127.0.0.1:1/")


async def test_a_socket_is_made_for_a_public_address_and_for_what_the_operator_allows() -> None:
    resolver = JudgingResolver(allowing(("waha", 3000)), ScriptedNames(["10.0.0.7"]))
    await resolver.resolve("waha", 3000)
    for sockaddr in [("1.1.1.1", 443), ("10.0.0.7", 3000)]:
        resolver.open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", sockaddr)).close()
    for sockaddr in [("10.0.0.7", 443), ("10.0.0.8", 3000), ("1.1.1.1", 22)]:
        with pytest.raises(OutboundRefused):
            resolver.open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", sockaddr))


async def test_a_small_answer_is_not_unpacked_and_no_cookie_is_kept() -> None:
    async with a_site() as site:
        site.answer = "200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\n"
        policy = allowing(("127.0.0.1", site.port))
        async with guarded_session(policy, timeout=aiohttp.ClientTimeout(total=5)) as session:
            async with session.get(f"http://127.0.0.1:{site.port}/") as answer:
                assert (await answer.read()).startswith(b"1 127.0.0.1")
            assert list(session.cookie_jar) == []


@pytest.mark.parametrize("name", ["0x7f000001", "2130706433", "127.1", "0177.0.0.1"])
async def test_the_system_resolver_reads_numbers_in_disguise_and_they_are_refused(name: str) -> None:
    names = SystemNames(threads=1)
    assert await names(name, 443) == [ip_address("127.0.0.1")]
    with pytest.raises(OutboundRefused):
        await JudgingResolver(OutboundPolicy(), names).resolve(name, 443)


@pytest.mark.parametrize("name", ["é.example.com", "a" * 300])
async def test_a_name_no_resolver_can_ask_for_has_no_address(name: str) -> None:
    with pytest.raises(OSError):
        await SystemNames(threads=1)(name, 443)


def contexts_for(name: str, directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a fresh certificate for `name`, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "server.pem"
    path.write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())
