"""Live feeds over a real server: only there do disconnects and shutdowns exist."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
import pytest
from fastapi import APIRouter, FastAPI, Request
from sse_starlette import EventSourceResponse

from nexus_shared.http.server import ApiServer
from nexus_shared.http.sse import LastPosition, Update, live

router = APIRouter()
closed: list[str] = []


async def counting(first: int, last: int | None) -> AsyncGenerator[Update, None]:
    """Numbers after `first`; without `last` it waits for ever after the third."""
    try:
        for number in range(first + 1, (last or first + 3) + 1):
            yield Update(str(number), "event.recorded", f'{{"position":{number},\n"ok":true}}')
        if last is None:
            await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.01)  # giving back a connection takes a moment
        closed.append("closed")


@router.get("/finite", operation_id="finite")
async def finite(request: Request, after: LastPosition = None) -> EventSourceResponse:
    return live(request, counting(after or 0, 5))


@router.get("/endless", operation_id="endless")
async def endless(request: Request) -> EventSourceResponse:
    return live(request, counting(0, None), heartbeat=1)


@pytest.fixture
async def server(build: Any) -> AsyncIterator[ApiServer]:
    app: FastAPI = build(router)
    server = ApiServer(app, "127.0.0.1", 0, grace_seconds=10)
    closed.clear()
    await server.start()
    yield server
    await server.stop()


async def lines_until(answer: aiohttp.ClientResponse, last: str) -> list[str]:
    lines: list[str] = []
    while last not in lines:
        lines.append((await answer.content.readline()).decode().rstrip("\n"))
    return lines


async def eventually_closed() -> None:
    async with asyncio.timeout(5):
        while not closed:
            await asyncio.sleep(0.01)


async def test_a_feed_resumes_after_the_last_event_seen(server: ApiServer) -> None:
    resumed = {"Last-Event-ID": "3"}
    async with aiohttp.ClientSession(server.url) as client, client.get("/finite", headers=resumed) as answer:
        text = await answer.text()

    assert answer.content_type == "text/event-stream"
    assert text == "".join(
        f'id: {number}\nevent: event.recorded\ndata: {{"position":{number},\ndata: "ok":true}}\n\n'
        for number in (4, 5)
    )
    assert closed == ["closed"]


async def test_a_last_event_id_that_is_none_is_refused(server: ApiServer) -> None:
    odd = {"Last-Event-ID": "yesterday"}
    async with aiohttp.ClientSession(server.url) as client, client.get("/finite", headers=odd) as answer:
        assert answer.status == 422


async def test_a_quiet_feed_sends_a_heartbeat(server: ApiServer) -> None:
    async with (
        aiohttp.ClientSession(server.url) as client,
        client.get("/endless") as answer,
        asyncio.timeout(5),
    ):
        assert ": still here" in await lines_until(answer, ": still here")


async def test_a_client_that_leaves_ends_its_feed(server: ApiServer) -> None:
    async with aiohttp.ClientSession(server.url) as client, client.get("/endless") as answer:
        await lines_until(answer, "id: 3")
        answer.close()

    await eventually_closed()


async def test_stopping_the_server_ends_feeds_at_once(server: ApiServer) -> None:
    async with aiohttp.ClientSession(server.url) as client, client.get("/endless") as answer:
        await lines_until(answer, "id: 3")
        async with asyncio.timeout(3):
            await server.stop()
            await answer.content.read()

    assert closed == ["closed"]
