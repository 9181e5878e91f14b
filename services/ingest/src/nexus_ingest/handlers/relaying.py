"""Relaying: the log, by position, out to the broker. The broker may lose, double or reorder; the log does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from nexus_ingest.domain.frames import Cut, Recorded, beacons, cut_frames, single_messages
from nexus_ingest.handlers.reading import LogReader
from nexus_ingest.store.relays import Cursor, RelayStore
from nexus_shared.crashpoints import crash_point
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.topology import LANES

BATCH_EVENTS = 2_000
RESEND_EVENTS = 5_000
LOADED_EVENTS = 50
FULL_EVENTS = 500
GATHER_SECONDS = 0.01
"""After a pass of 50 events or more, new ones gather for 10 ms, unless there are 500; else they go out at once."""
SAVE_SECONDS = 0.1
BEACON_SECONDS = 1.0

Cutter = Callable[[Sequence[Recorded], Cursor], Cut]


def for_log(events: Sequence[Recorded], cursor: Cursor) -> Cut:
    return cut_frames(events, cursor.lane_positions, cursor.epoch)


def for_events(events: Sequence[Recorded], cursor: Cursor) -> Cut:
    return Cut(single_messages(events), cursor.lane_positions)


class Relay:
    """One pass over what is new since the cursor, as the leader of its name; `once` is a job's step.

    The cursor is saved at most every 100 ms: a crash in between publishes the same frames again, which readers drop by
    position. A leader that lost its lease learns it at the next save.
    """

    def __init__(
        self,
        name: str,
        cut: Cutter,
        *,
        relays: RelayStore,
        log: LogReader,
        publisher: Publisher,
        has_beacons: bool = False,
    ) -> None:
        self._name, self._cut, self._has_beacons = name, cut, has_beacons
        self._relays, self._log, self._publisher = relays, log, publisher
        self._cursor: Cursor | None = None
        self._saved_position = 0
        self._saved_at = self._beacon_at = 0.0
        self._is_loaded = False

    async def once(self) -> bool:
        """True when there may be more at once."""
        if self._cursor is None:
            self._cursor = await self._relays.lead(self._name)
            if self._cursor is None:
                return False
            self._saved_position = self._cursor.position
        events = await self._log.follow(self._cursor.position, self._cursor.recorded_at, BATCH_EVENTS)
        if events and self._is_loaded and len(events) < FULL_EVENTS:
            # A frame with many events costs its readers as much as one with few.
            await asyncio.sleep(GATHER_SECONDS)
            events = await self._log.follow(self._cursor.position, self._cursor.recorded_at, BATCH_EVENTS)
        if events:
            self._is_loaded = len(events) >= LOADED_EVENTS
            cut = self._cut(events, self._cursor)
            crash_point("relay.before_publish")
            await self._publisher.publish(cut.messages)
            crash_point("relay.after_confirms")
            last = events[-1]
            self._cursor = Cursor(last.position, last.recorded_at, cut.lane_positions, self._cursor.epoch)
        await self._keep(self._cursor)
        return bool(events)

    async def _keep(self, cursor: Cursor) -> None:
        now = time.monotonic()
        # Also when busy: a lane that lost its last frame may be silent while others never rest.
        if self._has_beacons and now - self._beacon_at >= BEACON_SECONDS:
            self._beacon_at = now
            await self._publisher.publish(beacons(cursor.lane_positions, cursor.epoch))
        is_unsaved = cursor.position != self._saved_position
        if now - self._saved_at >= (SAVE_SECONDS if is_unsaved else 1.0):
            if not await self._relays.save(self._name, cursor):
                self._cursor = None  # deposed
                return
            crash_point("relay.after_save")
            self._saved_at, self._saved_position = now, cursor.position

    async def resign(self) -> None:
        """At a clean end: save, and let the next instance lead at once."""
        if self._cursor is not None:
            await self._relays.save(self._name, self._cursor)
            await self._relays.resign(self._name, self._cursor.epoch)


class Resender:
    """A reader missed frames of a lane: publish that lane again, from the log."""

    def __init__(self, relays: RelayStore, log: LogReader, publisher: Publisher) -> None:
        self._relays, self._log, self._publisher = relays, log, publisher

    async def resend(self, lane: int, after: int) -> int:
        """Sends what the relay has already sent after `after`, at most 5,000 events; returns how many.

        A longer hole heals in rounds: the next frame shows what is still missing.
        """
        until = (await self._relays.lane_positions("log"))[lane]
        events = await self._log.of_lane(lane, after, until, RESEND_EVENTS)
        if events:
            messages = cut_frames(events, [after] * LANES, epoch=-after).messages
            crash_point("resend.before_publish")
            await self._publisher.publish(messages)
            crash_point("resend.after_confirms")
        return len(events)
