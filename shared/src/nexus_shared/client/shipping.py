"""Shipping: parcels from being handed over until each is confirmed, with or without a spool in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from nexus_shared.client.errors import (
    EventInvalid,
    NotConfirmed,
    PublishRefused,
    SpoolFull,
    SpoolUnusable,
)
from nexus_shared.client.keeper import Keeper
from nexus_shared.client.parcels import BatchLimits, Parcel, batches
from nexus_shared.client.sender import Pending, Sender
from nexus_shared.client.spool import Spool
from nexus_shared.errors import Flaw

log = logging.getLogger(__name__)

CLOSING_SECONDS = 10.0
"""How long a publisher with a spool waits at its end for the broker; without one it is as patient as ever."""


class Shipping:
    """Everything on its way, by message id. `open()` first, `close()` at the end."""

    def __init__(
        self,
        url: str,
        name: str,
        exchange: str,
        spool: Spool | None,
        *,
        patience: float,
        confirm_timeout: float,
        limit_bytes: int,
    ) -> None:
        self._sender = Sender(
            url,
            name,
            exchange,
            confirm_seconds=confirm_timeout,
            on_confirmed=self._confirmed,
            on_refused=self._refused,
        )
        self._spool = spool
        self._keeper = None if spool is None else Keeper(spool, self._sender.submit)
        self._patience, self._limit_bytes = patience, limit_bytes
        self._pending: dict[str, Pending] = {}
        self._bytes = 0
        self._sending: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self._sender.is_connected

    @property
    def unconfirmed(self) -> int:
        return len(self._pending)

    async def open(self, tenant_id: str) -> None:
        """Take the spool, queue what it holds, begin to send. Raises SpoolInUse, SpoolUnusable."""
        if self._spool is not None and self._keeper is not None:
            for segment, kept in await asyncio.to_thread(self._spool.open):
                for parcel in batches(tenant_id, [(event.id, event.line) for event in kept], BatchLimits()):
                    pending = self._expect(parcel)
                    self._keeper.remember(pending, segment)
                    self._sender.submit(pending)
            self._keeping = asyncio.create_task(self._keeper.run())
        self._sending = asyncio.create_task(self._sender.run())

    async def close(self) -> NotConfirmed | None:
        """Wait a while for what is on its way, then stop. What would be lost, as an error to raise."""
        left = [pending.outcome for pending in self._pending.values()]
        if left:
            seconds = self._patience if self._spool is None else min(self._patience, CLOSING_SECONDS)
            await asyncio.wait(left, timeout=seconds)
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        if self._keeper is not None and self._keeping is not None:
            self._keeper.stop()
            await self._keeping
        if self._spool is not None:
            await asyncio.to_thread(self._spool.close)
        return self._left_over()

    async def deliver(self, parcels: Sequence[Parcel]) -> None:
        """Hand over in order and wait for the broker. Raises as NexusPublisher.publish says."""
        if len(parcels) == 1:
            await self._outcome([await self.take(parcels[0])])
            return
        taken = await asyncio.gather(*map(self.take, parcels), return_exceptions=True)
        await self._outcome([each for each in taken if isinstance(each, Pending)])
        for failure in taken:
            if isinstance(failure, BaseException):
                raise failure

    async def take(self, parcel: Parcel) -> Pending:
        """On disk, or in memory, and on its way; the same parcel twice is one.

        Raises SpoolFull, SpoolUnusable, and EventInvalid when its id is on its way with other content.
        """
        if (same := self._pending.get(parcel.message_id)) is not None:
            if same.parcel.says_the_same(parcel):
                return same
            message = f"Another event with the id {parcel.message_id!r} is on its way; an id names one fact"
            raise EventInvalid([Flaw("/id", message, "conflict")])
        pending = self._expect(parcel)
        try:
            if self._keeper is not None:
                await self._keeper.keep(pending)
            else:
                self._take_into_memory(pending)
        except (SpoolFull, SpoolUnusable) as error:
            self._end(pending, error)
            raise
        return pending

    def _take_into_memory(self, pending: Pending) -> None:
        if self._bytes > self._limit_bytes:
            raise SpoolFull(
                f"{self._bytes} bytes wait for the broker in memory, more than spool_limit; this event was not taken. "
                "Bring the broker back, or give this publisher a spool_dir."
            )
        self._sender.submit(pending)

    async def _outcome(self, taken: Sequence[Pending]) -> None:
        """Wait until all are confirmed; raise PublishRefused or NotConfirmed for those that are not."""
        if not taken:
            return
        for pending in taken:
            pending.waiting += 1
        try:
            _, late = await asyncio.wait({pending.outcome for pending in taken}, timeout=self._patience)
        finally:
            for pending in taken:
                pending.waiting -= 1
        refusals = [pending.outcome.exception() for pending in taken if pending.outcome not in late]
        for refusal in refusals:
            if isinstance(refusal, PublishRefused):
                events = [each.events for each in refusals if isinstance(each, PublishRefused)]
                raise PublishRefused(str(refusal), sum(events, ()))
            if refusal is not None:
                raise refusal
        if late:
            raise self._not_confirmed([pending for pending in taken if pending.outcome in late])

    def _not_confirmed(self, late: Sequence[Pending]) -> NotConfirmed:
        events = tuple(event for pending in late for event in pending.parcel.events)
        then = "also after a restart of this process" if self._spool else "as long as this process lives"
        return NotConfirmed(
            f"The broker has not confirmed {len(events)} events within {self._patience:g} s"
            f"{f' ({trouble})' if (trouble := self._sender.trouble) else ''}: they may have arrived. "
            f"They are sent again in the background, {then}; to publish them again yourself use the same ids.",
            events,
        )

    def _left_over(self) -> NotConfirmed | None:
        left = list(self._pending.values())
        if not left:
            return None
        where = "they stay in the spool" if self._spool else "they may be lost"
        log.warning("Publisher closed before %d messages were confirmed; %s", len(left), where)
        if self._spool is not None:
            return None
        events = tuple(event for pending in left for event in pending.parcel.events)
        return NotConfirmed(
            f"{len(events)} events were not confirmed when the publisher closed: they may have arrived. "
            "Publish `error.events` again, or give the publisher a spool_dir.",
            events,
        )

    def _expect(self, parcel: Parcel) -> Pending:
        pending = Pending(parcel, asyncio.get_running_loop().create_future())
        self._pending[parcel.message_id] = pending
        self._bytes += pending.size
        return pending

    def _confirmed(self, pending: Pending) -> None:
        self._end(pending, None)
        if self._keeper is not None:
            self._keeper.settle(pending)

    def _refused(self, pending: Pending, error: PublishRefused) -> None:
        if not pending.waiting:
            log.error("Message %s was refused: %s", pending.parcel.message_id, error)
        if self._keeper is not None:
            self._keeper.set_aside(pending)
        self._end(pending, error)

    def _end(self, pending: Pending, error: Exception | None) -> None:
        self._pending.pop(pending.parcel.message_id, None)
        self._bytes -= pending.size
        if pending.outcome.done():
            return
        if error is None:
            pending.outcome.set_result(None)
        else:
            pending.outcome.set_exception(error)
            pending.outcome.exception()  # it was told: no warning when nobody asks for it
