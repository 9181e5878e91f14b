"""uvicorn, started and stopped by the runtime instead of by itself."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from nexus_shared.errors import NexusError

GRACE_SECONDS = 20
KEEP_ALIVE_SECONDS = 75
"""Longer than a reverse proxy keeps its idle connections, so that it is never us who closes one in use."""


class PortTaken(NexusError):
    """127.0.0.1:8101 is in use. Stop what listens there or set NEXUS_HTTP_PORT."""

    slug = "port-taken"
    title = "The port is in use"


class StartFailed(NexusError):
    """The application did not start; its own error is in the log above."""

    slug = "start-failed"
    title = "The HTTP application did not start"


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the runtime's: it stops consumers and HTTP in the right order."""
        yield


class ApiServer:
    """Serves an app on the running loop (the runtime makes it uvloop's). Port 0 takes a free one."""

    def __init__(self, app: FastAPI, host: str, port: int, *, grace_seconds: int = GRACE_SECONDS) -> None:
        self._app = app
        self._host = host
        self._port = port
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=grace_seconds,
        )
        self._uvicorn = _Uvicorn(config)
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Returns when requests are answered. Raises PortTaken, StartFailed."""
        listening = self._listen()
        self._serving = asyncio.create_task(self._serve(listening), name="http")
        while not self._uvicorn.started:
            if self._serving.done():
                listening.close()
                self._serving.result()
                raise StartFailed
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Ends live feeds, lets requests finish within the grace, cuts the rest."""
        self._app.state.closing.set()
        self._uvicorn.should_exit = True
        await self.stopped()

    async def stopped(self) -> None:
        """Waits until nothing is served any more. Raises what ended it, if that was an error."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listening = socket.create_server((self._host, self._port), family=family, backlog=2048)
        except OSError as refused:
            if refused.errno != errno.EADDRINUSE:
                raise
            where = f"{self._host}:{self._port}"
            raise PortTaken(f"{where} is in use. Stop what listens there or set NEXUS_HTTP_PORT.") from None
        self._port = listening.getsockname()[1]
        return listening

    async def _serve(self, listening: socket.socket) -> None:
        try:
            await self._uvicorn.serve(sockets=[listening])
        except SystemExit:
            # uvicorn exits the process when the application's lifespan fails; that is not its decision.
            raise StartFailed from None


async def serve(app: FastAPI, host: str, port: int) -> None:
    """Serves until cancelled, then stops in order."""
    server = ApiServer(app, host, port)
    await server.start()
    try:
        await server.stopped()
    finally:
        await server.stop()
