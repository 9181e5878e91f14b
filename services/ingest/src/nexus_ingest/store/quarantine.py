"""Events unfit for recording, kept with the reason, sealed, until somebody corrects or discards them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nexus_shared.database import Connection, Database, across_tenants
from nexus_shared.ids import TenantId

_ADD = """
    insert into quarantine as q (quarantine_id, tenant_id, publisher, source, event_id, type, reason, pointer, message,
                                 content, content_hash, content_size, content_type)
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[], $10::bytea[], $11::bytea[], $12::int[], $13::text[])
    on conflict (quarantine_id) do update set occurrences = q.occurrences + 1, last_seen_at = clock_timestamp()
"""
_FIELDS = (
    "quarantine_id, tenant_id, publisher, source, event_id, type, reason, pointer, message, content_size, content_type,"
    " status, occurrences, first_seen_at, last_seen_at, resolved_at, resolved_by, resolution"
)


class NewEntry(NamedTuple):
    quarantine_id: UUID
    tenant_id: str
    publisher: str
    source: str | None
    event_id: str | None
    type: str | None
    reason: str
    pointer: str
    message: str
    content: bytes
    content_hash: bytes
    content_size: int
    content_type: str


class Entry(NamedTuple):
    quarantine_id: UUID
    tenant_id: str
    publisher: str
    source: str | None
    event_id: str | None
    type: str | None
    reason: str
    pointer: str
    message: str
    content_size: int
    content_type: str
    status: str
    occurrences: int
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class QuarantineStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("one batch holds events of many tenants")
    async def add(self, entries: Sequence[NewEntry]) -> None:
        """The same content for the same reason again only counts up."""
        distinct = list({entry.quarantine_id: entry for entry in entries}.values())
        columns = [list(column) for column in zip(*distinct, strict=True)]
        async with self._database.connection() as connection:
            await connection.execute(_ADD, *columns)

    async def page(
        self, tenant_id: TenantId, *, status: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Entry]:
        """Newest first; `before` is the last entry of the previous page."""
        moment, quarantine_id = before or (None, None)
        async with self._database.tenant(tenant_id) as connection:
            rows = await connection.fetch(
                f"select {_FIELDS} from quarantine where tenant_id = $1 and ($2::text is null or status = $2)"
                " and ($3::timestamptz is null or (first_seen_at, quarantine_id) < ($3, $4::uuid))"
                " order by first_seen_at desc, quarantine_id desc limit $5",
                tenant_id,
                status,
                moment,
                quarantine_id,
                limit,
            )
        return [Entry(*row) for row in rows]

    async def entry(self, tenant_id: TenantId, quarantine_id: UUID) -> tuple[Entry, bytes] | None:
        """The entry and its sealed content."""
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(
                f"select {_FIELDS}, content from quarantine where tenant_id = $1 and quarantine_id = $2",
                tenant_id,
                quarantine_id,
            )
        return (Entry(*tuple(row)[:-1]), row["content"]) if row else None

    @asynccontextmanager
    async def settling(self, tenant_id: TenantId, quarantine_id: UUID) -> AsyncIterator[Held | None]:
        """The entry, held until the block ends: whoever else wants to settle it waits, and then finds it settled."""
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(
                f"select {_FIELDS}, content from quarantine where tenant_id = $1 and quarantine_id = $2 for update",
                tenant_id,
                quarantine_id,
            )
            yield Held(connection, Entry(*tuple(row)[:-1]), row["content"]) if row else None


class Held:
    """An entry in hand, with its sealed content."""

    def __init__(self, connection: Connection, entry: Entry, content: bytes) -> None:
        self._connection, self.entry, self.content = connection, entry, content

    async def settle(self, status: str, by: str, resolution: str) -> None:
        """`status` is recorded or discarded; it holds when the block ends well."""
        await self._connection.execute(
            "update quarantine set status = $3, resolved_at = clock_timestamp(), resolved_by = $4, resolution = $5"
            " where tenant_id = $1 and quarantine_id = $2",
            self.entry.tenant_id,
            self.entry.quarantine_id,
            status,
            by,
            resolution,
        )
