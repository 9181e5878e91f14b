"""A local receiver of webhooks that checks signatures."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web

from nexus_cli.outcomes import EnvironmentNotFit
from nexus_shared.outbound.signing import SignatureInvalid, verify

HOST = "127.0.0.1"
OnWebhook = Callable[[dict[str, Any], float], None]


class Receiver:
    """Answers 204 to a signed webhook and hands its event on; 401 to any other. `refused` counts those."""

    def __init__(self, port: int, secret: str, on_webhook: OnWebhook) -> None:
        self._port, self._secret, self._on_webhook = port, secret, on_webhook
        self._runner: web.AppRunner | None = None
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}/webhooks"

    async def __aenter__(self) -> Receiver:
        app = web.Application()
        app.router.add_post("/webhooks", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise EnvironmentNotFit(
                f"Port {self._port} is in use: the demo's receiver listens there.",
                "Is another nexus demo running? End it, or what else listens there.",
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        at, body = time.monotonic(), await request.read()
        try:
            verify([self._secret], request.headers, body)
        except SignatureInvalid:
            self.refused += 1
            return web.Response(status=401)
        self._on_webhook(orjson.loads(body), at)
        return web.Response(status=204)
