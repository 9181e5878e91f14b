"""The log's newest events in memory, so that the relay need not read back what was just appended.

Only committed rows get in, by position and without holes; whoever asks for anything else reads the log.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexus_ingest.domain.frames import Recorded

CAPACITY = 10_000


class Tail:
    """A window of consecutive positions; bounded, so a slow relay simply falls back to the log."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._events: list[Recorded] = []

    def add(self, events: Sequence[Recorded]) -> None:
        """Events of one append, in order of position."""
        if not events:
            return
        if self._events and events[0].position != self._events[-1].position + 1:
            self._events = []  # another writer came between
        self._events.extend(events)
        if len(self._events) > self._capacity:
            self._events = self._events[-self._capacity // 2 :]

    def after(self, position: int, limit: int) -> list[Recorded]:
        """The events right after `position`; empty when the window does not begin there."""
        if not self._events:
            return []
        start = position + 1 - self._events[0].position
        return self._events[start : start + limit] if start >= 0 else []

    def ends_at(self, position: int) -> bool:
        """True when `position` is the newest event here."""
        return bool(self._events) and self._events[-1].position == position
