"""The log as it grows, for whoever listens: one follower per process reads for all listeners, and only while there
are any."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import orjson
import structlog

from nexus_ingest.domain.browsing import fits_any
from nexus_ingest.domain.frames import Recorded
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.log import LogStore
from nexus_shared.errors import RetryLater
from nexus_shared.ids import TenantId
from nexus_shared.messaging.connection import backoff

log = structlog.get_logger(__name__)

BATCH = 500
MOST_LISTENERS = 500
MOST_OF_A_TENANT = 50
MOST_WAITING = 1_000
"""A listener that lets more events wait is let go; it comes back and resumes after the last one it saw."""
POLL_SECONDS = 0.2
RECHECK_SECONDS = 2.0
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Place(NamedTuple):
    """Where the follower stands in the log."""

    position: int
    recorded_at: datetime


class Listener:
    """What one client wants and has not taken yet."""

    def __init__(self, tenant_id: TenantId, types: Sequence[str], subject: str | None, since: int) -> None:
        self.tenant_id, self.since = tenant_id, since
        self._fits = fits_any(types).fullmatch
        self._subject = subject
        self._waiting: asyncio.Queue[Recorded] = asyncio.Queue(MOST_WAITING)
        self._is_let_go = False

    def wants(self, event: Recorded) -> bool:
        if event.tenant_id != self.tenant_id or self._fits(event.type) is None:
            return False
        return self._subject is None or orjson.loads(event.json).get("subject") == self._subject

    def offer(self, event: Recorded) -> None:
        if self._is_let_go or event.position <= self.since or not self.wants(event):
            return
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._is_let_go = True

    async def take(self, is_allowed: Callable[[], bool]) -> Recorded | None:
        """The next event; None when the listener was too slow or may not listen any more."""
        while not (self._is_let_go and self._waiting.empty()) and is_allowed():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECHECK_SECONDS):
                    return await self._waiting.get()
        return None


class Feed:
    def __init__(self, store: LogStore, sealer: Sealer, tail: Tail) -> None:
        self._store, self._sealer, self._tail = store, sealer, tail
        self._listeners: dict[TenantId, set[Listener]] = {}
        self._starting = asyncio.Lock()
        self._follower: asyncio.Task[None] | None = None
        self._grown = asyncio.Event()
        self._place = Place(0, EPOCH)

    def wake(self) -> None:
        """The log has grown here."""
        self._grown.set()

    def listeners(self, tenant_id: TenantId | None = None) -> int:
        """How many listen now, of one tenant or of all."""
        if tenant_id is not None:
            return len(self._listeners.get(tenant_id, ()))
        return sum(map(len, self._listeners.values()))

    @property
    def is_following(self) -> bool:
        return self._follower is not None and not self._follower.done()

    def require_room(self, tenant_id: TenantId) -> None:
        """Raises RetryLater when as many are listening as this process serves, or serves to one tenant."""
        if self.listeners() >= MOST_LISTENERS or self.listeners(tenant_id) >= MOST_OF_A_TENANT:
            raise RetryLater("Too many clients listen here; come back later", after=timedelta(seconds=30))

    async def events(
        self,
        tenant_id: TenantId,
        *,
        types: Sequence[str] = (),
        subject: str | None = None,
        after: int | None = None,
        is_allowed: Callable[[], bool],
    ) -> AsyncGenerator[Recorded, None]:
        """What was recorded after position `after` (None: from now on), then what comes.

        It ends when the listener is too slow or `is_allowed`, asked again at least every two seconds, says no.
        """
        listener = await self._join(tenant_id, types, subject)
        try:
            if after is not None:
                async for missed in self._missed(listener, after):
                    if not is_allowed():
                        return
                    yield missed
            while (event := await listener.take(is_allowed)) is not None:
                yield event
        finally:
            self._leave(listener)

    async def close(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    async def _join(self, tenant_id: TenantId, types: Sequence[str], subject: str | None) -> Listener:
        async with self._starting:
            is_idle = not self.is_following
            if is_idle:
                head = await self._store.head()
                self._place = Place(head.last_position, head.last_recorded_at)
            listener = Listener(tenant_id, types, subject, self._place.position)
            self._listeners.setdefault(tenant_id, set()).add(listener)
            if is_idle:
                self._follower = asyncio.create_task(self._follow(), name="feed")
        return listener

    def _leave(self, listener: Listener) -> None:
        others = self._listeners[listener.tenant_id]
        others.discard(listener)
        if not others:
            del self._listeners[listener.tenant_id]

    async def _missed(self, listener: Listener, after: int) -> AsyncGenerator[Recorded, None]:
        """From the log: what the client has not seen when it joins."""
        while after < listener.since:
            rows = await self._store.history(listener.tenant_id, after, listener.since, None, BATCH)
            for event in await self._sealer.open(rows):
                if listener.wants(event):
                    yield event
            if len(rows) < BATCH:
                return
            after = rows[-1].position

    async def _follow(self) -> None:
        waits = backoff()
        while self._listeners:
            self._grown.clear()
            try:
                has_grown = await self._step()
            except Exception as error:
                log.warning("feed_waits", error=type(error).__name__)
                await asyncio.sleep(next(waits))
                continue
            waits = backoff()
            if not has_grown:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._grown.wait(), POLL_SECONDS)

    async def _step(self) -> bool:
        """What is new since the last step, to those whom it concerns. False when nothing is."""
        if events := self._tail.after(self._place.position, BATCH):
            self._place = Place(events[-1].position, events[-1].recorded_at)
            self._offer(events)
            return True
        before = self._place
        rows = await self._store.after(before.position, before.recorded_at, BATCH)
        if not rows:
            return False
        # The place moves before the next await: whoever joins during it finds these rows in the log instead.
        self._place = Place(rows[-1].position, rows[-1].recorded_at)
        try:
            self._offer(await self._sealer.open([row for row in rows if row.tenant_id in self._listeners]))
        except BaseException:
            self._place = before
            raise
        return True

    def _offer(self, events: Sequence[Recorded]) -> None:
        for event in events:
            for listener in self._listeners.get(TenantId(event.tenant_id), ()):
                listener.offer(event)
