"""Triggers as staff edit them: drafts, versions, secrets of actions, and what tells the readers of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nexus_shared.database import Connection, across_tenants
from nexus_shared.ids import TenantId
from nexus_trigger_processor.store.filtering import Filter

PREVIOUS_SECRET_HOURS = 24

_TRIGGERS = """
    select t.trigger_id, t.name, t.status, t.draft, t.version, v.definition, t.latest_version, t.event_type,
           t.effective_after, t.revision, t.created_at, t.created_by, t.updated_at, t.updated_by,
           coalesce(s.executions, 0) as executions, s.last_run_id, s.last_run_at
      from triggers t
      left join trigger_versions v on v.trigger_id = t.trigger_id and v.version = t.version
      left join trigger_stats s on s.trigger_id = t.trigger_id
"""
# `*` in a trigger's event type stands for anything; the characters of event types mean themselves otherwise.
_LISTENS_TO = r"? ~ ('^' || replace(replace({}, '.', '\.'), '*', '.*') || '$')"
_LISTENS = f"""({_LISTENS_TO.format("t.event_type")} or {_LISTENS_TO.format("(t.draft ->> 'event_type')")})"""


class TriggerRow(NamedTuple):
    """A trigger with its draft and its current version's definition (JSON texts) and how often it ran."""

    trigger_id: UUID
    name: str
    status: str
    draft: str | None
    version: int | None
    definition: str | None
    latest_version: int
    event_type: str | None
    effective_after: int | None
    revision: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    executions: int
    last_run_id: UUID | None
    last_run_at: datetime | None


class VersionRow(NamedTuple):
    version: int
    definition: str
    published_at: datetime
    published_by: str
    reason: str


class SecretRow(NamedTuple):
    action_key: str
    sealed: bytes
    changed_at: datetime
    previous_until: datetime | None


@dataclass(frozen=True, slots=True)
class TriggerFilter:
    """What a list is narrowed to; `event_type` finds triggers that listen to it, by name or by pattern."""

    status: str | None = None
    event_type: str | None = None
    text: str | None = None


class TriggerStore:
    """Everything here runs inside the caller's transaction."""

    async def find(self, tenant_id: TenantId, connection: Connection, trigger_id: UUID) -> TriggerRow | None:
        row = await connection.fetchrow(
            f"{_TRIGGERS} where t.tenant_id = $1 and t.trigger_id = $2 and t.deleted_at is null",
            tenant_id,
            trigger_id,
        )
        return TriggerRow(*row) if row else None

    async def lock(self, tenant_id: TenantId, connection: Connection, trigger_id: UUID) -> TriggerRow | None:
        """The trigger as it is now, and nobody else's to change until the transaction ends."""
        # A statement of its own: what it waited for would not be seen by joins in the same one.
        await connection.execute(
            "select from triggers where tenant_id = $1 and trigger_id = $2 for update", tenant_id, trigger_id
        )
        return await self.find(tenant_id, connection, trigger_id)

    async def page(
        self,
        tenant_id: TenantId,
        connection: Connection,
        narrowed: TriggerFilter,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[TriggerRow]:
        """At most `limit` triggers, newest first, after the one with this (created_at, trigger_id)."""
        where = Filter()
        where.add("t.tenant_id = ? and t.deleted_at is null", tenant_id)
        where.add("t.status = ?", narrowed.status)
        where.add(_LISTENS, narrowed.event_type, narrowed.event_type)
        where.add("strpos(lower(t.name), lower(?)) > 0", narrowed.text)
        where.add("(t.created_at, t.trigger_id) < (?, ?)", *(after or (None, None)))
        rows = await connection.fetch(
            f"{_TRIGGERS} where {where} order by t.created_at desc, t.trigger_id desc limit {where.value(limit)}",
            *where.values,
        )
        return [TriggerRow(*row) for row in rows]

    async def insert(
        self,
        tenant_id: TenantId,
        connection: Connection,
        trigger_id: UUID,
        *,
        name: str,
        draft: str,
        by: str,
    ) -> None:
        await connection.execute(
            "insert into triggers (trigger_id, tenant_id, name, status, draft, created_by, updated_by)"
            " values ($2, $1, $3, 'draft', $4, $5, $5)",
            tenant_id,
            trigger_id,
            name,
            draft,
            by,
        )

    async def save_draft(
        self,
        tenant_id: TenantId,
        connection: Connection,
        trigger_id: UUID,
        *,
        name: str,
        draft: str | None,
        by: str,
    ) -> None:
        """`draft` None: it equals the published version."""
        await connection.execute(
            "update triggers set name = $3, draft = $4, revision = revision + 1, updated_at = clock_timestamp(),"
            " updated_by = $5 where tenant_id = $1 and trigger_id = $2",
            tenant_id,
            trigger_id,
            name,
            draft,
            by,
        )

    async def insert_version(
        self,
        tenant_id: TenantId,
        connection: Connection,
        trigger_id: UUID,
        *,
        version: int,
        definition: str,
        by: str,
        reason: str,
    ) -> None:
        await connection.execute(
            "insert into trigger_versions (trigger_id, version, tenant_id, definition, published_by, reason)"
            " values ($2, $3, $1, $4, $5, $6)",
            tenant_id,
            trigger_id,
            version,
            definition,
            by,
            reason,
        )

    @across_tenants("lanes carry subjects of all tenants")
    async def lock_lanes(self, connection: Connection) -> int:
        """Stops all matching until the transaction ends, and says how far it has come: the greatest position."""
        rows = await connection.fetch("select position from lanes order by lane for update")
        return max(int(row["position"]) for row in rows)

    async def activate(
        self,
        tenant_id: TenantId,
        connection: Connection,
        trigger_id: UUID,
        *,
        name: str,
        version: int,
        event_type: str,
        draft: str | None,
        effective_after: int,
        by: str,
    ) -> None:
        """From now on this version decides. Only while the lanes are locked."""
        await connection.execute(
            "update triggers set status = 'published', name = $3, version = $4, event_type = $5, draft = $6,"
            " latest_version = greatest(latest_version, $4), effective_after = $7, revision = revision + 1,"
            " updated_at = clock_timestamp(), updated_by = $8 where tenant_id = $1 and trigger_id = $2",
            tenant_id,
            trigger_id,
            name,
            version,
            event_type,
            draft,
            effective_after,
            by,
        )

    async def deactivate(
        self,
        tenant_id: TenantId,
        connection: Connection,
        trigger_id: UUID,
        *,
        by: str,
        is_deleted: bool = False,
    ) -> None:
        """It decides nothing any more, and with `is_deleted` is not shown either."""
        await connection.execute(
            "update triggers set status = case status when 'draft' then 'draft' else 'disabled' end,"
            " deleted_at = case when $4 then clock_timestamp() end, revision = revision + 1,"
            " updated_at = clock_timestamp(), updated_by = $3 where tenant_id = $1 and trigger_id = $2",
            tenant_id,
            trigger_id,
            by,
            is_deleted,
        )

    async def mark_changed(
        self, tenant_id: TenantId, connection: Connection, trigger_id: UUID, event_types: Sequence[str]
    ) -> None:
        """Readers of the log load what is published for these event types again.

        Only while the lanes are locked: revisions must become visible in their order.
        """
        await connection.execute(
            "insert into trigger_changes (tenant_id, event_type, trigger_id) select $1, unnest($3::text[]), $2",
            tenant_id,
            trigger_id,
            list(event_types),
        )

    async def versions(
        self,
        tenant_id: TenantId,
        connection: Connection,
        trigger_id: UUID,
        before: int | None,
        limit: int,
    ) -> list[VersionRow]:
        """At most `limit` versions, newest first, older than `before`."""
        rows = await connection.fetch(
            "select version, definition, published_at, published_by, reason from trigger_versions"
            " where tenant_id = $1 and trigger_id = $2 and ($3::bigint is null or version < $3)"
            " order by version desc limit $4",
            tenant_id,
            trigger_id,
            before,
            limit,
        )
        return [VersionRow(*row) for row in rows]

    async def version(
        self, tenant_id: TenantId, connection: Connection, trigger_id: UUID, version: int
    ) -> VersionRow | None:
        """One version; of a deleted trigger too, since runs name it."""
        row = await connection.fetchrow(
            "select version, definition, published_at, published_by, reason from trigger_versions"
            " where tenant_id = $1 and trigger_id = $2 and version = $3",
            tenant_id,
            trigger_id,
            version,
        )
        return VersionRow(*row) if row else None

    async def secrets(
        self, tenant_id: TenantId, connection: Connection, trigger_id: UUID
    ) -> dict[str, SecretRow]:
        """By action key."""
        rows = await connection.fetch(
            "select action_key, sealed, changed_at, previous_until from action_secrets"
            " where tenant_id = $1 and trigger_id = $2",
            tenant_id,
            trigger_id,
        )
        return {row["action_key"]: SecretRow(*row) for row in rows}

    async def put_secret(
        self,
        tenant_id: TenantId,
        connection: Connection,
        trigger_id: UUID,
        action_key: str,
        sealed: bytes,
    ) -> None:
        """A new secret; the one before signs beside it for another day, while the receiver changes over."""
        await connection.execute(
            "insert into action_secrets as s (trigger_id, action_key, tenant_id, sealed) values ($2, $3, $1, $4)"
            " on conflict (trigger_id, action_key) do update set sealed = excluded.sealed, previous = s.sealed,"
            " previous_until = clock_timestamp() + $5 * interval '1 hour', changed_at = clock_timestamp()"
            " where s.tenant_id = excluded.tenant_id",
            tenant_id,
            trigger_id,
            action_key,
            sealed,
            PREVIOUS_SECRET_HOURS,
        )
