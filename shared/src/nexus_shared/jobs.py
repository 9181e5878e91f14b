"""Loops that nobody calls: each has a period, one call, back-off on errors and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from nexus_shared.messaging.connection import backoff

log = structlog.get_logger(__name__)


@dataclass
class Job:
    """Calls `once` for ever. It returns True when there is more to do at once, else the loop sleeps `period` seconds
    or until `wake` is set."""

    name: str
    once: Callable[[], Awaitable[bool | None]]
    period: float
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stopping: asyncio.Event) -> None:
        waits = backoff()
        while not stopping.is_set():
            self.wake.clear()
            try:
                busy = await self.once()
                waits = backoff()
            except Exception as error:
                log.warning(
                    "job_failed",
                    job=self.name,
                    error=type(error).__name__,
                    sqlstate=getattr(error, "sqlstate", None),
                )
                await _sleep(stopping, next(waits))
                continue
            if not busy:
                await self._rest(stopping)

    async def _rest(self, stopping: asyncio.Event) -> None:
        waiters = {asyncio.ensure_future(self.wake.wait()), asyncio.ensure_future(stopping.wait())}
        try:
            await asyncio.wait(waiters, timeout=self.period, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()


async def _sleep(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
