"""The log: appending through the one function, reading by position."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from nexus_ingest.domain.content import Stored
from nexus_shared.database import Database, across_tenants
from nexus_shared.errors import NexusError
from nexus_shared.ids import TenantId

_APPEND = (
    "select now_at, positions, known_at, same from append"
    "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)"
)
_KEY_TAKEN = "NX001"

Identity = tuple[str, str, str]
"""Tenant, source, id."""

COLUMNS = (
    "position, recorded_at, lane, tenant_id, source, event_id, type, schema_version, subject, occurred_at, "
    "correlation_id, causation_id, hops, traceparent, data, sealed, key_id, digest"
)
# Both bounds of recorded_at prune partitions: the old ones and those made ahead. The upper one is the log's own clock,
# since the server's may have stepped back.
_AFTER = f"""
    select {COLUMNS} from automation_events
     where position > $1 and recorded_at >= $2 and recorded_at <= (select last_recorded_at from log_head)
     order by position limit $3
"""
_LANE = f"""
    select {COLUMNS} from automation_events
     where lane = $1 and position > $2 and position <= $3 order by position limit $4
"""
_HISTORY = f"""
    select {COLUMNS} from automation_events
     where tenant_id = $1 and position > $2 and position <= $3 and ($4::text[] is null or type = any($4))
     order by position limit $5
"""


class Row(NamedTuple):
    """One event for `append`, in the order of its parameters."""

    lane: int
    tenant_id: str
    source: str
    event_id: str
    type: str
    is_known: bool
    schema_version: int
    subject: str | None
    occurred_at: datetime
    correlation_id: str
    causation_id: str | None
    hops: int
    traceparent: str | None
    data: str
    sealed: bytes | None
    key_id: Any
    digest: bytes


class NewKey(NamedTuple):
    """A new person's key, wrapped; proposing the same one again changes nothing."""

    key_id: UUID
    tenant_id: str
    wrapped: bytes


class KeyTaken(NexusError):
    """Another instance made a key for the same person, or destroyed it, meanwhile: look it up and seal again."""

    slug = "key-taken"
    title = "Another instance made or destroyed a key of one of these persons"


class Answer(NamedTuple):
    """What became of a row: stored, duplicate or conflict, with the position and time of the one that counts."""

    status: str
    position: int
    recorded_at: datetime


class Head(NamedTuple):
    last_position: int
    last_recorded_at: datetime
    dedupe_window: timedelta
    epoch: int


class LogStore:
    """The append-only table. Its writer works for all tenants; tenant-facing reads are in `EventStore`."""

    def __init__(self, database: Database, writer: str) -> None:
        self._database, self._writer = database, writer

    @across_tenants("one append takes a batch of events of many tenants")
    async def append(self, rows: Sequence[Row], new_keys: Sequence[NewKey] = ()) -> list[Answer]:
        """One statement, one commit; answers in the order of `rows`. Keys of new persons commit with their events.

        Where `rows` repeat an identity, a second statement answers the repetitions.

        Raises KeyTaken when one of the keys is not the person's (any more): nothing was appended.
        """
        firsts: dict[Identity, int] = {}
        for index, row in enumerate(rows):
            firsts.setdefault((row.tenant_id, row.source, row.event_id), index)
        if len(firsts) == len(rows):
            return await self._append(rows, new_keys)
        first = set(firsts.values())
        distinct = iter(await self._append([rows[index] for index in sorted(first)], new_keys))
        # What the batch says again is known by now: nothing of it is stored, and each is compared with what was.
        repeated = iter(await self._append([row for index, row in enumerate(rows) if index not in first], ()))
        return [next(distinct if index in first else repeated) for index in range(len(rows))]

    async def _append(self, rows: Sequence[Row], new_keys: Sequence[NewKey]) -> list[Answer]:
        columns = [list(column) for column in zip(*rows, strict=True)]
        keys = [list(column) for column in zip(*new_keys, strict=True)] or [[], [], []]
        try:
            async with self._database.connection() as connection:
                record = await connection.fetchrow(_APPEND, self._writer, *columns, *keys)
        except asyncpg.PostgresError as error:
            if error.sqlstate == _KEY_TAKEN:
                raise KeyTaken from error
            raise
        assert record is not None
        now_at, *answers = record
        return [
            Answer("stored", position, now_at)
            if known_at is None
            else Answer("duplicate" if same else "conflict", position, known_at)
            for position, known_at, same in zip(*answers, strict=True)
        ]

    @across_tenants("the relay sends the log to our own services")
    async def after(self, position: int, recorded_at: datetime, limit: int) -> list[Stored]:
        """Events with a greater position, in order; `recorded_at` is that of `position` (it prunes partitions)."""
        async with self._database.connection() as connection:
            return _stored(await connection.fetch(_AFTER, position, recorded_at, limit))

    @across_tenants("a lane carries subjects of all tenants")
    async def of_lane(self, lane: int, after: int, until: int, limit: int) -> list[Stored]:
        async with self._database.connection() as connection:
            return _stored(await connection.fetch(_LANE, lane, after, until, limit))

    async def history(
        self, tenant_id: TenantId, after: int, until: int, types: Sequence[str] | None, limit: int
    ) -> list[Stored]:
        """A tenant's events with after < position <= until, in order."""
        async with self._database.tenant(tenant_id) as connection:
            return _stored(await connection.fetch(_HISTORY, tenant_id, after, until, types, limit))

    @across_tenants("the head belongs to the log, not to a tenant")
    async def head(self) -> Head:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "select last_position, last_recorded_at, dedupe_window, epoch from log_head"
            )
        assert row is not None
        return Head(*row)

    @across_tenants("partitions hold all tenants")
    async def make_partitions(self, weeks_ahead: int) -> list[str]:
        """Makes the weekly partitions that are missing, up to `weeks_ahead`; returns the names of the new ones."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "select create_partition(week, week + interval '1 week') as name from generate_series("
                "date_trunc('week', now(), 'UTC'), date_trunc('week', now(), 'UTC') + $1 * interval '1 week', "
                "interval '1 week') as week",
                weeks_ahead,
            )
        return [row["name"] for row in rows if row["name"]]

    @across_tenants("partitions hold all tenants")
    async def detach_partitions(self, before: datetime) -> list[str]:
        """Detaches partitions that end before `before`; they stay as tables until an operator drops them."""
        async with self._database.connection() as connection:
            return [row[0] for row in await connection.fetch("select detach_partitions($1)", before)]


def _stored(rows: Sequence[Any]) -> list[Stored]:
    return [Stored(*row) for row in rows]
