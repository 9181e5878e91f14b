"""The webhook client against a receiver that misbehaves, over HTTP on this machine."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest

from nexus_fakes.receiver import Receiver
from nexus_shared.outbound.addresses import IPAddress, OutboundPolicy
from nexus_shared.outbound.signing import new_secret
from nexus_trigger_processor.client import (
    STORE_LIMIT,
    USER_AGENT,
    AiohttpWebhookClient,
    Timeouts,
    WebhookRequest,
)
from nexus_trigger_processor.retries import OutcomeKind

SECRETS = (new_secret(), new_secret())
ACTION = UUID("b4ad7bb1-8b1d-5a6e-9c5f-0a3a6f6c2f10")
BODY = '{"type":"lead.created","data":{"nome":"João"}}'.encode()
HASTY = Timeouts(connect=0.2, total=0.5, body=0.15)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(secrets=SECRETS[:1]) as receiver:
        yield receiver


@asynccontextmanager
async def a_client(*allowed: str, **options: Any) -> AsyncIterator[AiohttpWebhookClient]:
    client = AiohttpWebhookClient(OutboundPolicy.parse(",".join(allowed)), **options)
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(receiver: Receiver) -> AsyncIterator[AiohttpWebhookClient]:
    async with a_client(f"127.0.0.1:{receiver.port}") as client:
        yield client


def a_request(url: str, **changes: Any) -> WebhookRequest:
    request = WebhookRequest(action_id=ACTION, url=url, body=BODY, at=datetime.now(UTC), secrets=SECRETS)
    return replace(request, **changes)


async def test_a_webhook_arrives_signed_and_says_who_sends_it(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    request = a_request(f"{receiver.url}/hook?x=%41", headers={"Authorization": "Bearer s3cr3t-token"})
    outcome = await client.send(request)
    assert (outcome.kind, outcome.status, outcome.response) == (OutcomeKind.SUCCEEDED, 200, "ok")
    assert 0 < outcome.latency_ms < 5000
    (delivery,) = receiver.deliveries
    assert (delivery.path, delivery.body, delivery.signature) == ("/hook?x=%41", BODY, "valid")
    assert delivery.webhook_id == str(ACTION) == delivery.headers["idempotency-key"]
    assert delivery.headers["content-type"] == "application/cloudevents+json"
    assert delivery.headers["user-agent"] == USER_AGENT
    assert delivery.headers["authorization"] == "Bearer s3cr3t-token"
    assert USER_AGENT.startswith("Nexus-Automation/")
    assert not {"accept-encoding", "cookie"} & set(delivery.headers)


async def test_the_older_secret_still_proves_a_webhook_during_rotation(receiver: Receiver) -> None:
    async with (
        Receiver(secrets=SECRETS[1:]) as slow_to_rotate,
        a_client(f"127.0.0.1:{slow_to_rotate.port}") as client,
    ):
        await client.send(a_request(slow_to_rotate.url))
        assert slow_to_rotate.deliveries[0].signature == "valid"


async def test_every_attempt_has_the_same_id_and_its_own_time(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    first = a_request(receiver.url)
    for request in (first, replace(first, at=first.at + timedelta(seconds=60))):
        await client.send(request)
    one, two = receiver.deliveries
    assert one.webhook_id == two.webhook_id
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 60
    assert one.signature == two.signature == "valid"


@pytest.mark.parametrize(
    ("status", "kind", "most"),
    [
        (204, OutcomeKind.SUCCEEDED, None),
        (404, OutcomeKind.FAILED_RETRYABLE, 3),
        (410, OutcomeKind.GONE, None),
        (429, OutcomeKind.FAILED_RETRYABLE, None),
        (500, OutcomeKind.FAILED_RETRYABLE, None),
    ],
)
async def test_an_answer_is_judged_by_its_status(
    receiver: Receiver, client: AiohttpWebhookClient, status: int, kind: OutcomeKind, most: int | None
) -> None:
    receiver.behave(status=status)
    outcome = await client.send(a_request(receiver.url))
    assert (outcome.kind, outcome.status, outcome.max_attempts) == (kind, status, most)
    assert outcome.code == f"http_{status}"


async def test_the_receivers_wish_to_wait_is_reported(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    receiver.behave(status=429, retry_after="120")
    assert (await client.send(a_request(receiver.url))).retry_after == timedelta(minutes=2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(
    receiver: Receiver, client: AiohttpWebhookClient, status: int
) -> None:
    receiver.behave("/moved", status=status, redirect_to=f"{receiver.url}/elsewhere")
    outcome = await client.send(a_request(f"{receiver.url}/moved"))
    assert (outcome.kind, outcome.max_attempts) == (OutcomeKind.FAILED_RETRYABLE, 3)
    assert "redirect" in outcome.reason
    assert len(receiver.deliveries) == 1


async def test_no_answer_in_time_is_unknown(receiver: Receiver, client: AiohttpWebhookClient) -> None:
    receiver.behave(delay=5)
    outcome = await client.send(a_request(receiver.url, timeouts=HASTY))
    assert (outcome.kind, outcome.code, outcome.status) == (OutcomeKind.UNKNOWN, "timeout", None)
    assert 400 < outcome.latency_ms < 3000


async def test_a_connection_lost_before_the_answer_is_unknown(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    receiver.behave(close="before")
    outcome = await client.send(a_request(receiver.url))
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, "connection_lost")
    assert len(receiver.deliveries) == 1


async def test_a_connection_closed_while_idle_is_not_written_on_twice(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    await client.send(a_request(receiver.url))
    receiver.go_down(0.1)
    await asyncio.sleep(0.4)
    assert (await client.send(a_request(receiver.url))).kind is OutcomeKind.SUCCEEDED
    assert len(receiver.deliveries) == 2


async def test_nobody_listening_is_a_failure_to_retry(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    receiver.go_down(5)
    await asyncio.sleep(0.2)
    outcome = await client.send(a_request(receiver.url))
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED_RETRYABLE, "connection")


async def test_a_name_server_that_does_not_answer_is_a_connect_timeout() -> None:
    async def names(host: str, port: int) -> list[IPAddress]:
        await asyncio.sleep(5)
        return []

    async with a_client(lookup=names) as client:
        outcome = await client.send(a_request("https://hooks.example.com/", timeouts=HASTY))
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED_RETRYABLE, "connect_timeout")


async def test_a_name_without_address_is_a_failure_to_retry() -> None:
    async def names(host: str, port: int) -> list[IPAddress]:
        raise OSError("no such name")

    async with a_client(lookup=names) as client:
        outcome = await client.send(a_request("https://hooks.example.com/"))
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED_RETRYABLE, "dns")


async def test_a_name_that_leads_inside_is_refused_and_not_retried() -> None:
    async def names(host: str, port: int) -> list[IPAddress]:
        return [ip_address("1.1.1.1"), ip_address("127.0.0.1")]

    async with a_client(lookup=names) as client:
        outcome = await client.send(a_request("https://hooks.example.com/"))
    assert (outcome.kind, outcome.code) == (OutcomeKind.REFUSED, "address")
    assert "127.0.0.1" not in outcome.reason


async def test_a_receiver_without_tls_is_a_failure_to_retry(receiver: Receiver) -> None:
    async with a_client(f"127.0.0.1:{receiver.port}") as client:
        outcome = await client.send(a_request(receiver.url.replace("http:", "https:")))
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED_RETRYABLE, "tls")
    assert receiver.deliveries == []


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "http://hooks.example.com/", "https://2130706433/", "nonsense"]
)
async def test_an_address_we_do_not_call_is_refused(client: AiohttpWebhookClient, url: str) -> None:
    assert (await client.send(a_request(url))).kind is OutcomeKind.REFUSED


@pytest.mark.parametrize(
    "headers",
    [{"Host": "x"}, {"webhook-id": "x"}, {"Cookie": "a=b"}, {"X-A": "b\r\nX-C: d"}, {"X-A\r\nX-B": "c"}],
)
async def test_a_header_tenants_may_not_set_is_refused(
    receiver: Receiver, client: AiohttpWebhookClient, headers: dict[str, str]
) -> None:
    outcome = await client.send(a_request(receiver.url, headers=headers))
    assert (outcome.kind, outcome.code) == (OutcomeKind.REFUSED, "header")
    assert receiver.deliveries == []


@pytest.mark.parametrize("changes", [{"secrets": ("whsec_short",)}, {"body": b"\xff"}])
async def test_what_cannot_be_signed_is_not_sent_nor_tried_again(
    receiver: Receiver, client: AiohttpWebhookClient, changes: dict[str, Any]
) -> None:
    outcome = await client.send(a_request(receiver.url, **changes))
    assert outcome.kind is OutcomeKind.FAILED_FINAL
    assert receiver.deliveries == []


@pytest.mark.parametrize(
    "raw",
    [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + "X-A: b\r\n" * 5000,
        "HTTP/1.1 200 OK\r\nX-A: " + "b" * 100_000,
        "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["another protocol", "many headers", "a long header", "a body where there can be none"],
)
async def test_an_answer_that_is_not_proper_http_is_unknown(
    receiver: Receiver, client: AiohttpWebhookClient, raw: str
) -> None:
    receiver.behave(raw=raw)
    outcome = await client.send(a_request(receiver.url))
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, "not_http")


async def test_a_gigabyte_is_neither_read_nor_stored(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    receiver.behave(body_bytes=2**30)
    started = time.perf_counter()
    outcome = await client.send(a_request(receiver.url))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert 0 < len(outcome.response.encode()) <= STORE_LIMIT
    assert time.perf_counter() - started < 2
    receiver.behave()
    assert (await client.send(a_request(receiver.url))).response == "ok"


async def test_a_body_that_drips_does_not_change_the_answer_nor_hold_us_up(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    receiver.behave(slow_body=20, body="0123456789" * 10)
    started = time.perf_counter()
    outcome = await client.send(a_request(receiver.url, timeouts=Timeouts(body=0.3)))
    assert (outcome.kind, outcome.status) == (OutcomeKind.SUCCEEDED, 200)
    assert outcome.response.startswith("0")
    assert time.perf_counter() - started < 2


async def test_a_body_cut_short_does_not_change_the_answer(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    receiver.behave(close="during", body="0123456789")
    outcome = await client.send(a_request(receiver.url))
    assert (outcome.kind, outcome.status) == (OutcomeKind.SUCCEEDED, 200)


async def test_a_packed_body_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with Receiver() as receiver, a_client(f"127.0.0.1:{receiver.port}") as client:
        receiver.behave(raw=head + bomb.decode("latin-1"))
        outcome = await client.send(a_request(receiver.url))
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert "compressed" in outcome.response


@pytest.mark.parametrize(
    ("content_type", "raw", "text"),
    [
        ("text/plain", "olá".encode(), "olá"),
        ("text/plain; charset=iso-8859-1", "olá".encode("latin-1"), "olá"),
        ("text/plain; charset=utf-8", b"ol\xe1", "ol�"),
        ("text/plain; charset=nonsense", b"ok", "ok"),
        ("text/plain; charset=utf-7", b"+AGE-", "+AGE-"),
        ("text/plain; charset=zip", b"ok", "ok"),
        (";;;=\xff", b"ok", "ok"),
        ("application/octet-stream", b"a\x00b\x1b[31m", "a�b�[31m"),
        ("text/plain", b"a\tb\r\nc", "a\tb\r\nc"),
    ],
)
async def test_the_text_is_readable_and_storable_whatever_it_claims_to_be(
    receiver: Receiver, client: AiohttpWebhookClient, content_type: str, raw: bytes, text: str
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(raw)}\r\n\r\n"
    receiver.behave(raw=head + raw.decode("latin-1"))
    assert (await client.send(a_request(receiver.url))).response == text


async def test_a_long_text_is_cut_between_characters(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    receiver.behave(body="x" + "á" * 3000)
    response = (await client.send(a_request(receiver.url))).response
    assert len(response.encode()) == STORE_LIMIT - 1
    assert response == "x" + "á" * 1023


async def test_what_opens_doors_is_not_kept_when_the_receiver_repeats_it(
    receiver: Receiver, client: AiohttpWebhookClient
) -> None:
    token = "Bearer abc/def+123"
    receiver.behave(body=f'you sent {token} and {SECRETS[0]} and "abc\\/def+123"')
    outcome = await client.send(a_request(receiver.url, headers={"Authorization": token}))
    assert outcome.response == 'you sent [redacted] and [redacted] and "[redacted]"'


async def test_an_answer_before_the_whole_webhook_was_read_counts() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    port = listening.getsockname()[1]
    server = await asyncio.start_server(serve, sock=listening, limit=1024)
    async with server, a_client(f"127.0.0.1:{port}") as client:
        outcome = await client.send(a_request(f"http://127.0.0.1:{port}/", body=b"x" * 1_000_000))
    assert outcome.status == 413
    assert outcome.latency_ms < 3000


async def test_many_at_once_share_connections_and_none_is_lost(receiver: Receiver) -> None:
    async with a_client(f"127.0.0.1:{receiver.port}", connections=8) as client:
        outcomes = await asyncio.gather(
            *(client.send(a_request(receiver.url, action_id=str(n))) for n in range(200))
        )
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SUCCEEDED}
    assert receiver.ledger.stats()["distinct"] == 200


def test_what_is_secret_or_personal_is_not_in_a_requests_repr() -> None:
    request = a_request("https://hooks.example.com/k3y", headers={"Authorization": "s3cr3t-token"})
    assert not any(word in repr(request) for word in (*SECRETS, "s3cr3t-token", "João", "k3y"))
