"""The publisher for systems without asyncio (Django, Flask, scripts): the same, run in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from nexus_shared import topology
from nexus_shared.client.details import EventDetails
from nexus_shared.client.emitters.methods import Emitters
from nexus_shared.client.errors import PublisherClosed
from nexus_shared.client.later import Later
from nexus_shared.client.parcels import BatchLimits
from nexus_shared.client.publisher import SPOOL_LIMIT, NexusPublisher
from nexus_shared.envelope import Event

Answer = TypeVar("Answer")


class SyncNexusPublisher(Emitters):
    """`NexusPublisher` with plain calls; any thread may call. Arguments and errors are the same.

        publisher = SyncNexusPublisher(amqp_url, "clinica-sul", "crm", spool_dir="/var/lib/crm/nexus")
        publisher.publish("lead.created", {"lead_id": "L-17", "name": "Ana"}, id="lead-17-created")

    It opens at the first call, so it may be made while a module is imported, before a server forks its workers; each
    worker then needs a spool_dir of its own. It closes at `close()`, at the end of a `with` block, or at exit.
    """

    def __init__(
        self,
        amqp_url: str,
        tenant_id: str,
        source: str,
        spool_dir: str | Path | None = None,
        *,
        patience: float = 60.0,
        confirm_timeout: float = 10.0,
        spool_limit: int = SPOOL_LIMIT,
        exchange: str = topology.INBOUND,
    ) -> None:
        self._publisher = NexusPublisher(
            amqp_url,
            tenant_id,
            source,
            spool_dir,
            patience=patience,
            confirm_timeout=confirm_timeout,
            spool_limit=spool_limit,
            exchange=exchange,
        )
        self._opening = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = 0
        self._is_closed = False

    @property
    def unconfirmed(self) -> int:
        """AMQP messages (single events or batches) on their way."""
        return self._publisher.unconfirmed

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(error)

    def open(self) -> None:
        """Open now instead of at the first call. Raises SpoolInUse, SpoolUnusable, PublisherClosed."""
        self._running_loop()

    def close(self) -> None:
        """Wait for what is on its way, then end. Raises NotConfirmed when, without a spool, events would be lost."""
        self._close(None)

    def event(self, type: str, data: Mapping[str, Any], **details: Unpack[EventDetails]) -> Event:
        return self._publisher.event(type, data, **details)

    def publish(
        self, event: Event | str, data: Mapping[str, Any] | None = None, **details: Unpack[EventDetails]
    ) -> Event:
        return self._do(self._publisher.publish(event, data, **details))

    def publish_later(
        self, event: Event | str, data: Mapping[str, Any] | None = None, **details: Unpack[EventDetails]
    ) -> Event:
        return self._do(self._publisher.publish_later(event, data, **details))

    @property
    def later(self) -> Later[Event]:
        """This publisher for emitters that shall not wait: `publisher.later.emit_lead_created(…)`."""
        return Later(self.publish_later)

    def publish_many(self, events: Iterable[Event], limits: BatchLimits | None = None) -> None:
        self._do(self._publisher.publish_many(events, limits))

    def _do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            loop = self._running_loop()
        except BaseException:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._opening:
            if self._is_closed:
                raise PublisherClosed("This publisher was closed; make another one.")
            if self._loop is None:
                self._loop = self._start()
            elif self._process != os.getpid():
                raise PublisherClosed(
                    "This publisher was opened before the process forked: open it in the worker, not in its parent."
                )
            return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="nexus-publisher", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._publisher.__aenter__(), loop).result()
        except BaseException:
            _stop(loop, thread)
            raise
        self._thread, self._process = thread, os.getpid()
        atexit.register(self.close)
        return loop

    def _close(self, error: BaseException | None) -> None:
        with self._opening:
            self._is_closed = True
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None or self._process != os.getpid():
            return
        atexit.unregister(self.close)
        kind = None if error is None else type(error)
        try:
            asyncio.run_coroutine_threadsafe(self._publisher.__aexit__(kind, error, None), loop).result()
        finally:
            _stop(loop, thread)


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
