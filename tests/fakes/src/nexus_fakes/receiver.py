"""A webhook receiver that records, verifies and misbehaves on request.

Every path takes webhooks except `/_control`: `GET requests?after=N&limit=M`, `GET stats`, `POST behaviour` (a
Behaviour's settings and optionally `path`), `POST down` (`seconds`), `POST reset`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from nexus_fakes.behaviour import ANY_PATH, Behaviour
from nexus_fakes.ledger import Delivery, Ledger
from nexus_fakes.signatures import verdict

HOST = "127.0.0.1"
_CHUNK = bytes(64 * 1024)
_LARGEST_REQUEST = 16 * 1024 * 1024
_PAGE = {"after": "0", "limit": "1000"}


class Receiver:
    """`async with Receiver() as receiver:` listens on 127.0.0.1; `receiver.url` is where. Port 0 takes a free one."""

    def __init__(
        self, port: int = 0, *, secrets: Sequence[str] = (), keep: int = 100_000, log: Path | None = None
    ) -> None:
        self.port = port
        self.secrets = tuple(secrets)
        self.ledger = Ledger(keep, log)
        self._behaviours = {ANY_PATH: Behaviour()}
        self._runner: web.AppRunner | None = None
        self._outage: asyncio.Task[None] | None = None
        self._arrival = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def deliveries(self) -> list[Delivery]:
        return list(self.ledger.kept)

    def behave(self, path: str = ANY_PATH, **settings: Any) -> None:
        """From now on `path` ("*": every path without a behaviour of its own) is answered so."""
        self._behaviours[path] = Behaviour.parse(settings)

    def reset(self) -> None:
        self.ledger.clear()
        self._behaviours = {ANY_PATH: Behaviour()}

    def go_down(self, seconds: float) -> None:
        """Closes the port and every connection; listens again on the same port after `seconds`."""
        if self._outage is None or self._outage.done():
            self._outage = asyncio.create_task(self._be_down(seconds))

    async def wait_for(self, requests: int, *, within: float = 10.0) -> list[Delivery]:
        """The deliveries once there are that many; TimeoutError with the count after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while self.ledger.requests < requests:
                    self._arrival.clear()
                    await self._arrival.wait()
        except TimeoutError as error:
            raise TimeoutError(
                f"{self.ledger.requests} of {requests} requests came within {within} s"
            ) from error
        return self.deliveries

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outage is not None:
            self._outage.cancel()
            await asyncio.gather(self._outage, return_exceptions=True)
        await self._close()
        self.ledger.close()

    async def _listen(self) -> None:
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port, reuse_address=True, backlog=512)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _be_down(self, seconds: float) -> None:
        await asyncio.sleep(0.05)  # let the answer to the control request out
        await self._close()
        await asyncio.sleep(seconds)
        await self._listen()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_REQUEST)
        application.router.add_get("/_control/requests", self._show_requests)
        application.router.add_get("/_control/stats", self._show_stats)
        application.router.add_post("/_control/behaviour", _or_400(self._set_behaviour))
        application.router.add_post("/_control/down", _or_400(self._set_down))
        application.router.add_post("/_control/reset", self._reset)
        application.router.add_route("*", "/{path:.*}", self._receive)
        return application

    async def _show_requests(self, request: web.Request) -> web.Response:
        after, limit = (int(request.query.get(name, default)) for name, default in _PAGE.items())
        return web.json_response(self.ledger.page(after, limit))

    async def _show_stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.ledger.stats())

    async def _set_behaviour(self, settings: dict[str, Any]) -> None:
        self.behave(settings.pop("path", ANY_PATH), **settings)

    async def _set_down(self, settings: dict[str, Any]) -> None:
        self.go_down(float(settings["seconds"]))

    async def _reset(self, request: web.Request) -> web.Response:
        self.reset()
        return web.json_response({})

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        behaviour = self._behaviours.get(request.path) or self._behaviours[ANY_PATH]
        delivery = await self._recorded(request, behaviour)
        await asyncio.sleep(behaviour.delay)
        if delivery.status is None:
            return _hung_up(request, behaviour)
        return await _answered(request, replace(behaviour, status=delivery.status))

    async def _recorded(self, request: web.Request, behaviour: Behaviour) -> Delivery:
        body, now = await request.read(), time.time()
        headers = {name.lower(): value for name, value in request.headers.items()}
        webhook_id = headers.get("webhook-id", "")
        delivery = Delivery(
            received_at=now,
            path=request.path_qs,
            webhook_id=webhook_id,
            status=behaviour.status_of(self.ledger.times_seen(webhook_id) + 1),
            signature=verdict(self.secrets, headers, body, now),
            method=request.method,
            headers=headers,
            body=body,
        )
        self.ledger.add(delivery)
        self._arrival.set()
        return delivery


def _hung_up(request: web.Request, behaviour: Behaviour) -> web.Response:
    assert request.transport is not None
    if behaviour.raw is not None:
        request.transport.write(behaviour.raw.encode("latin-1"))
    request.transport.close()
    return web.Response()


async def _answered(request: web.Request, behaviour: Behaviour) -> web.StreamResponse:
    has_body = behaviour.status not in (204, 304)
    size = (behaviour.body_bytes or len(behaviour.body.encode())) if has_body else 0
    answer = web.StreamResponse(status=behaviour.status, headers=behaviour.answer_headers())
    answer.content_length = size if has_body else None
    try:
        await answer.prepare(request)
        await _write_body(request, answer, behaviour, size)
    except ConnectionError:
        pass  # the caller had enough, which is what large and slow bodies are for
    return answer


async def _write_body(
    request: web.Request, answer: web.StreamResponse, behaviour: Behaviour, size: int
) -> None:
    text = behaviour.body.encode() if not behaviour.body_bytes else b""
    step = 1 if behaviour.slow_body else min(len(_CHUNK), max(1, size // 2))
    for start in range(0, size, step):
        if behaviour.close == "during" and start * 2 >= size:
            assert request.transport is not None
            request.transport.close()
            return
        await answer.write(text[start : start + step] or _CHUNK[: min(step, size - start)])
        if behaviour.slow_body:
            await asyncio.sleep(behaviour.slow_body / size)


def _or_400(
    change: Callable[[dict[str, Any]], Awaitable[None]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            await change(json.loads(await request.read() or b"{}"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({})

    return handle
