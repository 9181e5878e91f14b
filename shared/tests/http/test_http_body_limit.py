from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request

from nexus_shared.http import body_limit
from nexus_shared.http.server import ApiServer

LIMIT = 1000
router = APIRouter()


@router.post("/count", operation_id="count")
async def count(request: Request) -> int:
    return len(await request.body())


@router.post("/import", operation_id="import")
async def take(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@router.post("/json", operation_id="json")
async def parsed(value: list[int]) -> int:
    return len(value)


@pytest.fixture
def app(build: Any) -> FastAPI:
    return build(router, body_limit=LIMIT, body_limits={"/import": 5000})  # type: ignore[no-any-return]


async def chunks(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


def is_too_large(answer: httpx.Response, limit: int = LIMIT) -> bool:
    return (
        answer.status_code == 413
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["type"] == "urn:nexus:problem:too-large"
        and f"{limit} bytes" in answer.json()["detail"]
    )


async def test_a_body_up_to_the_limit_passes(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        declared = await client.post("/count", content=b"x" * LIMIT)
        chunked = await client.post("/count", content=chunks(400, 600))

    assert declared.json() == chunked.json() == LIMIT


async def test_a_declared_length_beyond_the_limit_is_refused(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        assert is_too_large(await client.post("/count", content=b"x" * (LIMIT + 1)))


@pytest.mark.parametrize("path", ["/count", "/json"])
async def test_a_chunked_body_is_refused_at_the_chunk_that_crosses_the_limit(
    app: FastAPI, asking: Any, path: str
) -> None:
    async with asking(app) as client:
        answer = await client.post(
            path, content=chunks(600, 600), headers={"Content-Type": "application/json"}
        )

    assert is_too_large(answer)


async def test_the_application_never_gets_more_than_the_limit(build: Any) -> None:
    taken: list[int] = []
    greedy = APIRouter()

    async def swallow(request: Request) -> str:
        try:
            async for chunk in request.stream():
                taken.append(len(chunk))
        except Exception:
            taken.append(-1)
        return "all mine"

    greedy.add_api_route("/swallow", swallow, methods=["POST"], operation_id="swallow")
    app = build(greedy, body_limit=LIMIT)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nexus") as client:
        answer = await client.post("/swallow", content=chunks(900, 90, 10, 1, 5000))

    assert taken == [900, 90, 10, -1]
    assert is_too_large(answer)


async def test_a_path_can_have_a_limit_of_its_own(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        assert (await client.post("/import", content=b"x" * 5000)).json() == 5000
        assert is_too_large(await client.post("/import", content=chunks(5000, 1)), limit=5000)


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[ApiServer]:
    server = ApiServer(app, "127.0.0.1", 0, grace_seconds=1)
    await server.start()
    yield server
    await server.stop()


def address(server: ApiServer) -> tuple[str, int]:
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


def write_everything_then_read(where: tuple[str, int], head: bytes, body: bytes) -> bytes:
    """A client that looks at the answer only when all is sent, and fails if it cannot send."""
    with socket.create_connection(where) as connection:
        connection.sendall(b"POST /count HTTP/1.1\r\nHost: nexus\r\n" + head + b"\r\n\r\n")
        for start in range(0, len(body), 65536):
            connection.sendall(body[start : start + 65536])
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("head", [b"Content-Length: 10000000", b"Transfer-Encoding: chunked"])
async def test_a_client_that_writes_ten_megabytes_before_it_reads_gets_the_refusal(
    server: ApiServer, head: bytes
) -> None:
    body = b"x" * 10_000_000
    if b"chunked" in head:
        body = b"989680\r\n" + body + b"\r\n0\r\n\r\n"

    answer = await asyncio.to_thread(write_everything_then_read, address(server), head, body)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"urn:nexus:problem:too-large" in answer
    assert b"connection: close" in answer.lower()


async def test_a_client_that_never_stops_writing_is_cut_off(server: ApiServer, monkeypatch: Any) -> None:
    monkeypatch.setattr(body_limit, "LINGER_SECONDS", 0.2)
    _, writer = await asyncio.open_connection(*address(server))
    writer.write(b"POST /count HTTP/1.1\r\nHost: nexus\r\nTransfer-Encoding: chunked\r\n\r\n")

    with pytest.raises(ConnectionError):
        async with asyncio.timeout(5):
            while True:
                writer.write(b"3e9\r\n" + b"x" * 1001 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
    writer.close()


async def test_a_length_beside_chunks_is_not_believed(server: ApiServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /count HTTP/1.1\r\nHost: nexus\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(40):
        writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
    writer.write(b"0\r\n\r\n")

    status = await reader.readline()

    writer.close()
    assert status.split()[1] in {b"413", b"400"}
