"""Messages that were given up, kept until somebody deals with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nexus_shared.database import Connection, Database, across_tenants
from nexus_shared.ids import TenantId
from nexus_trigger_processor.store.filtering import Filter

_COLUMNS = (
    "dead_letter_id, tenant_id, service, queue, message_id, type, cause, deaths, content_type, status, created_at,"
    " settled_at, settled_by, note"
)


class DeadLetterRow(NamedTuple):
    """A dead letter to be kept; `deaths` is JSON, `body` sealed."""

    dead_letter_id: UUID
    tenant_id: TenantId
    service: str
    queue: str
    message_id: str
    type: str | None
    cause: str
    deaths: str
    content_type: str
    body: bytes


class DeadLetter(NamedTuple):
    dead_letter_id: UUID
    tenant_id: TenantId
    service: str
    queue: str
    message_id: str
    type: str | None
    cause: str
    deaths: str
    content_type: str
    status: str
    created_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class Cause(NamedTuple):
    """Open dead letters that died alike."""

    service: str
    queue: str
    type: str | None
    cause: str
    number: int
    oldest_at: datetime
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    status: str | None = None
    service: str | None = None
    queue: str | None = None
    type: str | None = None
    cause: str | None = None


class DeadLetterStore:
    """Where a tenant is taken, None means the platform, which sees all of them over a connection that may."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("the queue holds dead letters of all tenants")
    async def insert(self, rows: Sequence[DeadLetterRow]) -> set[UUID]:
        """Keeps what is not kept yet; the ids of those."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        async with self._database.connection() as connection:
            kept = await connection.fetch(
                "insert into dead_letters (dead_letter_id, tenant_id, service, queue, message_id, type, cause, deaths,"
                " content_type, body) select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],"
                " $6::text[], $7::text[], $8::jsonb[], $9::text[], $10::bytea[])"
                " on conflict do nothing returning dead_letter_id",
                *columns,
            )
        return {row["dead_letter_id"] for row in kept}

    async def page(
        self,
        tenant_id: TenantId | None,
        connection: Connection,
        narrowed: DeadLetterFilter,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[DeadLetter]:
        """At most `limit`, newest first, after the one with this (created_at, id)."""
        where = Filter()
        where.add("tenant_id = ?", tenant_id)
        where.add("status = ?", narrowed.status)
        where.add("service = ?", narrowed.service)
        where.add("queue = ?", narrowed.queue)
        where.add("type = ?", narrowed.type)
        where.add("cause = ?", narrowed.cause)
        where.add("(created_at, dead_letter_id) < (?, ?)", *(after or (None, None)))
        rows = await connection.fetch(
            f"select {_COLUMNS} from dead_letters where {where}"
            f" order by created_at desc, dead_letter_id desc limit {where.value(limit)}",
            *where.values,
        )
        return [DeadLetter(*row) for row in rows]

    async def causes(self, tenant_id: TenantId | None, connection: Connection) -> list[Cause]:
        """Open ones by what they died of, the most frequent first."""
        rows = await connection.fetch(
            "select service, queue, type, cause, count(*), min(created_at), max(created_at) from dead_letters"
            " where status = 'open' and ($1::text is null or tenant_id = $1)"
            " group by service, queue, type, cause order by count(*) desc, service, queue, type, cause limit 200",
            tenant_id,
        )
        return [Cause(*row) for row in rows]

    async def find(
        self, tenant_id: TenantId | None, connection: Connection, dead_letter_id: UUID
    ) -> tuple[DeadLetter, bytes] | None:
        """A dead letter and its sealed body."""
        row = await connection.fetchrow(
            f"select {_COLUMNS}, body from dead_letters"
            " where dead_letter_id = $2 and ($1::text is null or tenant_id = $1)",
            tenant_id,
            dead_letter_id,
        )
        return (DeadLetter(*tuple(row)[:-1]), row["body"]) if row else None

    async def discard(
        self,
        tenant_id: TenantId | None,
        connection: Connection,
        dead_letter_id: UUID,
        *,
        by: str,
        note: str,
    ) -> bool:
        """Settles an open one; False when it was settled before, or is not there."""
        settled = await connection.fetchval(
            "update dead_letters set status = 'discarded', settled_at = clock_timestamp(), settled_by = $3, note = $4"
            " where dead_letter_id = $2 and ($1::text is null or tenant_id = $1) and status = 'open' returning true",
            tenant_id,
            dead_letter_id,
            by,
            note,
        )
        return bool(settled)
