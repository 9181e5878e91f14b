"""One process of a service: HTTP, readers, subscribers and jobs, started in order and stopped without loss."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
import uvloop
from fastapi import FastAPI

from nexus_shared.http.server import ApiServer
from nexus_shared.jobs import Job
from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.subscribing import Subscribers

log = structlog.get_logger(__name__)

GRACE_SECONDS = 25.0


class Resource(Protocol):
    """Something opened before the first message and closed after the last."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...


@dataclass
class Service:
    """Everything one process runs. `resources` open in order and close in reverse."""

    name: str
    api: FastAPI
    host: str
    port: int
    resources: Sequence[Resource] = ()
    readers: Sequence[BatchReader[Any]] = ()
    subscribers: Subscribers | None = None
    jobs: Sequence[Job] = ()
    on_stop: Sequence[Callable[[], Awaitable[None]]] = field(default_factory=list)


def run(service: Service) -> None:
    """Runs until SIGTERM or SIGINT; returns when everything in hand is finished."""
    _calm_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(service))


def _calm_collector() -> None:
    """Batches make many short-lived containers and hardly any cycles: by default the collector would walk them, and all
    that was imported, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


async def serve(service: Service, stopping: asyncio.Event | None = None) -> None:
    """The same, on a running loop; `stopping` ends it (signals do too)."""
    stopping = stopping or asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopping.set)
    server = ApiServer(service.api, service.host, service.port)
    async with contextlib.AsyncExitStack() as opened:
        for resource in service.resources:
            await _unless(stopping, resource.open())
            opened.push_async_callback(resource.close)
        if stopping.is_set():
            return
        await server.start()
        opened.push_async_callback(server.stop)
        log.info("started", service=service.name, url=server.url)
        await _work(service, stopping)
    log.info("stopped", service=service.name)


async def _unless(stopping: asyncio.Event, opening: Awaitable[None]) -> None:
    """Waits for a resource, but not longer than somebody wants us running."""
    task: asyncio.Future[None] = asyncio.ensure_future(opening)
    ended: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return
    task.result()


async def _work(service: Service, stopping: asyncio.Event) -> None:
    """Messages in, loops on, until told to stop; then readers finish their batch, then the loops end."""
    jobs_end = asyncio.Event()
    tasks = [asyncio.create_task(reader.run(), name="reader") for reader in service.readers]
    jobs = [asyncio.create_task(job.run(jobs_end), name=job.name) for job in service.jobs]
    if service.subscribers is not None:
        tasks.append(asyncio.create_task(service.subscribers.run(), name="subscribers"))
    ended = asyncio.create_task(stopping.wait())
    try:
        done, _ = await asyncio.wait({*tasks, *jobs, ended}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ended}:
            task.result()
            raise RuntimeError(f"{task.get_name()} ended by itself")  # a bug: let the supervisor restart us
    finally:
        ended.cancel()
        for reader in service.readers:
            await reader.stop()
        if service.subscribers is not None:
            await _quietly(service.subscribers.stop())
        await _finish(tasks)
        jobs_end.set()
        await _finish(jobs)
        for callback in service.on_stop:
            await _quietly(callback())


async def _quietly(step: Awaitable[None]) -> None:
    """A step of stopping that fails, with the database or the broker away, keeps none of the others from being done."""
    try:
        await step
    except Exception as error:
        log.warning("stopping_incomplete", error=type(error).__name__)


async def _finish(tasks: Sequence[asyncio.Task[Any]]) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
    for task in late:
        log.warning("cut_off", task=task.get_name())
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
