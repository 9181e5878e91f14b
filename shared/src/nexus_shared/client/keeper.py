"""The keeper: the spool's file work in a thread, many events a turn, in the order they came."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from nexus_shared.client.errors import SpoolUnusable
from nexus_shared.client.sender import Pending
from nexus_shared.client.spool import Segment, Spool

log = logging.getLogger(__name__)


class Keeper:
    """`keep` puts a parcel on disk and then hands it to `submit`; `settle` and `set_aside` take it off again.

    Writing is shared: whatever came while the last turn was on the disk goes into one write and one fsync.
    """

    def __init__(self, spool: Spool, submit: Callable[[Pending], None]) -> None:
        self._spool, self._submit = spool, submit
        self._segments: dict[Pending, Segment] = {}
        self._new: list[tuple[Pending, asyncio.Future[None]]] = []
        self._done: list[tuple[Pending, bool]] = []
        self._wake = asyncio.Event()
        self._is_stopping = False

    def remember(self, pending: Pending, segment: Segment) -> None:
        """A parcel found at start, already on disk."""
        self._segments[pending] = segment

    async def keep(self, pending: Pending) -> None:
        """Returns when the parcel is on disk. Raises SpoolFull, SpoolUnusable: then it was not taken."""
        self._spool.reserve(pending.size)
        taken = asyncio.get_running_loop().create_future()
        self._new.append((pending, taken))
        self._wake.set()
        await asyncio.shield(taken)

    def settle(self, pending: Pending) -> None:
        """Confirmed: the disk may forget it."""
        self._done.append((pending, False))
        self._wake.set()

    def set_aside(self, pending: Pending) -> None:
        """Refused: kept for the next start."""
        self._done.append((pending, True))
        self._wake.set()

    async def run(self) -> None:
        """Turn after turn, until `stop()`; a turn is never cut off, since its thread could not be."""
        while not self._is_stopping:
            await self._wake.wait()
            await self._turn()
        await self._turn()

    def stop(self) -> None:
        """Let `run` do what waits and return."""
        self._is_stopping = True
        self._wake.set()

    async def _turn(self) -> None:
        """Everything that waits now."""
        self._wake.clear()
        done, self._done = self._done, []
        new, self._new = self._new, []
        settled = [(pending, self._segments.pop(pending), is_refused) for pending, is_refused in done]
        try:
            segment = await asyncio.to_thread(self._work, settled, [pending for pending, _ in new])
        except SpoolUnusable as error:
            for _, taken in new:
                taken.set_exception(error)
            return
        for pending, taken in new:
            if segment is not None:
                self._segments[pending] = segment
            self._submit(pending)
            taken.set_result(None)

    def _work(
        self, settled: Sequence[tuple[Pending, Segment, bool]], new: Sequence[Pending]
    ) -> Segment | None:
        """In the thread. Appending first: it is what somebody waits for."""
        try:
            lines = [line for pending in new for line in pending.parcel.lines]
            return self._spool.append(lines) if lines else None
        finally:
            for pending, segment, is_refused in settled:
                self._clear(pending, segment, is_refused)

    def _clear(self, pending: Pending, segment: Segment, is_refused: bool) -> None:
        try:
            if is_refused:
                self._spool.set_aside(pending.parcel.lines)
            self._spool.settle(segment, len(pending.parcel.lines))
        except OSError as error:  # it stays where it was and is sent again at the next start: harmless
            log.warning("The spool could not be cleared (%s); these events will be sent again", error)
