"""Appending: whoever brings events waits here; each statement takes what arrived during the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from nexus_ingest.domain.content import placed
from nexus_ingest.domain.frames import Recorded
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers.sealing import PersonKey
from nexus_ingest.store.log import Answer, KeyTaken, LogStore, Row
from nexus_shared.crashpoints import crash_point
from nexus_shared.database import is_away
from nexus_shared.errors import RetryLater, StoreAway

MOST_ROWS = 1_000
MOST_WAITING = 20_000


class Ready(NamedTuple):
    """A row to append, the event as it will go out, and the key it was sealed with."""

    row: Row
    outgoing: bytes
    key: PersonKey | None


@dataclass
class _Waiting:
    events: Sequence[Ready]
    answered: asyncio.Future[list[Answer]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Appender:
    """One append at a time per process: the database serialises them anyway, and so answers come in log order."""

    def __init__(self, log: LogStore, tail: Tail, on_append: Callable[[], None]) -> None:
        self._log, self._tail, self._on_append = log, tail, on_append
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    async def append(self, events: Sequence[Ready]) -> list[Answer]:
        """Answers in the order of `events`.

        Raises StoreAway when PostgreSQL does not answer (the outcome is unknown), KeyTaken when events have to be
        sealed again.
        """
        if not events:
            return []
        if sum(len(waiting.events) for waiting in self._waiting) > MOST_WAITING:
            raise RetryLater(
                "More events are waiting than can be taken in; try again", after=timedelta(seconds=2)
            )
        waiting = _Waiting(events)
        self._waiting.append(waiting)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await waiting.answered

    async def _work(self) -> None:
        while self._waiting:
            group = self._take()
            try:
                await self._append(group)
            except Exception as error:
                await self._give_up(group, error)

    async def _append(self, group: Sequence[_Waiting]) -> None:
        """One statement for all of them, and everybody's answers."""
        events = [event for waiting in group for event in waiting.events]
        # By object, not by id: two keys under one id are refused by the append, and sealed again (KeyTaken).
        new = {event.key for event in events if event.key is not None and event.key.new}
        # Sorted: two instances that bring the same persons cannot wait for each other in a circle.
        new_keys = sorted(key.new for key in new if key.new is not None)
        answers = await self._log.append([event.row for event in events], new_keys)
        crash_point("append.after_commit")
        for key in new:
            key.new = None
        self._settle(group, events, answers)

    async def _give_up(self, group: Sequence[_Waiting], error: Exception) -> None:
        """An event that the database refuses fails its own caller, and nobody who happened to share the statement."""
        if len(group) == 1 or isinstance(error, KeyTaken) or is_away(error):
            for waiting in group:
                _fail(waiting, error)
            return
        for waiting in group:
            try:
                await self._append([waiting])
            except Exception as alone:
                _fail(waiting, alone)

    def _take(self) -> list[_Waiting]:
        """At least one group, and as many more as fit in one statement."""
        group: list[_Waiting] = []
        rows = 0
        while self._waiting and (not group or rows + len(self._waiting[0].events) <= MOST_ROWS):
            waiting = self._waiting.pop(0)
            group.append(waiting)
            rows += len(waiting.events)
        return group

    def _settle(self, group: Sequence[_Waiting], events: Sequence[Ready], answers: Sequence[Answer]) -> None:
        self._tail.add(
            [
                Recorded(
                    answer.position,
                    answer.recorded_at,
                    event.row.lane,
                    event.row.tenant_id,
                    event.row.type,
                    event.row.event_id,
                    placed(event.outgoing, answer.position, answer.recorded_at),
                )
                for event, answer in zip(events, answers, strict=True)
                if answer.status == "stored"
            ]
        )
        self._on_append()
        start = 0
        for waiting in group:
            end = start + len(waiting.events)
            if not waiting.answered.done():
                waiting.answered.set_result(list(answers[start:end]))
            start = end


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answered.done():
        waiting.answered.set_exception(StoreAway() if is_away(error) else error)
