from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import StreamingResponse

from nexus_shared.http.server import ApiServer, PortTaken, StartFailed, serve

router = APIRouter()


@router.get("/quick", operation_id="quick")
async def quick() -> str:
    return "ok"


@router.get("/slow", operation_id="slow")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@router.get("/broken-off", operation_id="brokenOff")
async def broken_off() -> StreamingResponse:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the rest is lost")

    return StreamingResponse(half())


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        return answer.status


async def test_it_answers_as_soon_as_it_has_started(build: Any) -> None:
    server = ApiServer(build(router), "127.0.0.1", 0)
    await server.start()

    async with aiohttp.ClientSession() as client, client.get(f"{server.url}/quick") as answer:
        assert answer.status == 200
        assert "server" not in answer.headers

    await server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await status_of(f"{server.url}/quick")


async def test_signals_stay_with_the_runtime(build: Any) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    server = ApiServer(build(router), "127.0.0.1", 0)
    await server.start()

    during = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    await server.stop()
    assert during == before


async def test_a_port_in_use_is_named(build: Any) -> None:
    first = ApiServer(build(router), "127.0.0.1", 0)
    await first.start()
    port = int(first.url.rpartition(":")[2])

    with pytest.raises(PortTaken, match=f"127.0.0.1:{port} is in use"):
        await ApiServer(build(router), "127.0.0.1", port).start()

    await first.stop()


async def test_an_application_that_cannot_start_does_not_take_the_process_with_it(build: Any) -> None:
    def connect() -> None:
        raise RuntimeError("no database")

    @asynccontextmanager
    async def failing(_: FastAPI) -> AsyncIterator[None]:
        connect()
        yield

    with pytest.raises(StartFailed):
        await ApiServer(build(router, lifespan=failing), "127.0.0.1", 0).start()


async def test_the_lifespan_surrounds_serving(build: Any) -> None:
    story: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        story.append("opened")
        yield
        story.append("closed")

    server = ApiServer(build(router, lifespan=lifespan), "127.0.0.1", 0)
    await server.start()
    story.append("serving")
    await server.stop()

    assert story == ["opened", "serving", "closed"]


async def test_stopping_lets_requests_finish(build: Any) -> None:
    server = ApiServer(build(router), "127.0.0.1", 0)
    await server.start()
    request = asyncio.create_task(status_of(f"{server.url}/slow?seconds=0.5"))
    await asyncio.sleep(0.2)

    await server.stop()

    assert await request == 200


async def test_what_does_not_finish_within_the_grace_is_cut(build: Any) -> None:
    server = ApiServer(build(router), "127.0.0.1", 0, grace_seconds=1)
    await server.start()
    request = asyncio.create_task(status_of(f"{server.url}/slow?seconds=60"))
    await asyncio.sleep(0.2)
    began = time.monotonic()

    await server.stop()

    assert 0.9 < time.monotonic() - began < 5
    assert await request == 503


async def test_an_answer_that_breaks_off_is_logged_once_and_never_looks_complete(
    build: Any, logged: list[dict[str, Any]]
) -> None:
    server = ApiServer(build(router), "127.0.0.1", 0)
    await server.start()

    async with aiohttp.ClientSession() as client, client.get(f"{server.url}/broken-off") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()

    await server.stop()
    assert [line["event"] for line in logged] == ["request_crashed"]


async def test_serve_stops_in_order_when_it_is_cancelled(build: Any) -> None:
    app: FastAPI = build(router)
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0))
    await asyncio.sleep(0.3)

    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert app.state.closing.is_set()
