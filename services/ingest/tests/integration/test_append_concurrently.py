"""Six writers at once, with duplicates, conflicts and cancelled calls, and one reader that follows by position."""

import asyncio
import collections
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from nexus_ingest.store.log import LogStore, Row

pytestmark = pytest.mark.integration

SECONDS = 2.5
WRITERS = 6
TENANTS = [f"clinica-{number}" for number in range(20)]

Identity = tuple[str, str]


@dataclass
class Ledger:
    """What the writers were told, and what the reader saw."""

    acknowledged: dict[Identity, int] = field(default_factory=dict)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    cancelled: int = 0
    seen: list[tuple[int, Identity]] = field(default_factory=list)


class Writer:
    def __init__(self, number: int, log: LogStore, row: Any, ledger: Ledger) -> None:
        self._number, self._log, self._row, self._ledger = number, log, row, ledger
        self._chance = random.Random(number)
        self._sent: list[Row] = []

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            batch = [self._next() for _ in range(self._chance.randint(1, 120))]
            self._sent += batch
            try:
                answers = await self._append(batch)
            except (TimeoutError, asyncpg.PostgresError):
                self._ledger.cancelled += 1
                continue
            for row, answer in zip(batch, answers, strict=True):
                self._ledger.statuses[answer.status] += 1
                if answer.status != "conflict":
                    place = self._ledger.acknowledged.setdefault(
                        (row.tenant_id, row.event_id), answer.position
                    )
                    assert place == answer.position, "one identity has one position"

    async def _append(self, batch: list[Row]) -> Any:
        if self._chance.random() < 0.05:
            return await asyncio.wait_for(self._log.append(batch), self._chance.random() * 0.02)
        return await self._log.append(batch)

    def _next(self) -> Row:
        """A new event; or one sent before, which a cancelled call may have stored; or that one with other content."""
        dice = self._chance.random()
        if self._sent and dice < 0.1:
            return self._chance.choice(self._sent)
        if self._sent and dice < 0.12:
            old = self._chance.choice(self._sent)
            return self._row(old.event_id, tenant=old.tenant_id, content=f'"{self._chance.random()}"')
        event_id = f"{self._number}-{self._chance.getrandbits(64):x}"
        return self._row(event_id, tenant=self._chance.choice(TENANTS), content=f'"{event_id}"')


async def follow(log: LogStore, ledger: Ledger, done: asyncio.Event) -> None:
    position, recorded_at, quiet = 0, datetime(2000, 1, 1, tzinfo=UTC), 0
    while quiet < 4:
        for stored in await log.after(position, recorded_at, 700):
            assert stored.position == position + 1, "the reader met a hole"
            assert stored.recorded_at >= recorded_at
            position, recorded_at, quiet = stored.position, stored.recorded_at, 0
            ledger.seen.append((stored.position, (stored.tenant_id, stored.event_id)))
        quiet += done.is_set()
        await asyncio.sleep(0.003)


async def test_under_concurrent_writers_the_log_is_dense_unique_complete_and_chained(
    instance: Any, admin: Any, row: Any
) -> None:
    ledger, done = Ledger(), asyncio.Event()
    reader = asyncio.create_task(follow(instance.log, ledger, done))
    until = time.monotonic() + SECONDS
    writers = [Writer(n, LogStore(instance.database, f"w{n}"), row, ledger) for n in range(WRITERS)]
    await asyncio.gather(*(writer.run(until) for writer in writers))
    done.set()
    await reader

    rows = await admin.fetch("select position, tenant_id, event_id from automation_events order by position")
    places = [(each["position"], (each["tenant_id"], each["event_id"])) for each in rows]
    assert [position for position, _ in places] == list(range(1, len(places) + 1))
    assert len({identity for _, identity in places}) == len(places)
    assert ledger.seen == places
    assert ledger.acknowledged.items() <= {identity: position for position, identity in places}.items()
    assert await admin.checked_chain() == len(places)
    assert ledger.cancelled > 0, "no call was cancelled: the test proved less than it says"
    assert {"stored", "duplicate", "conflict"} <= ledger.statuses.keys()
