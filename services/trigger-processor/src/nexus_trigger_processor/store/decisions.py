"""What triggers made of events, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nexus_shared.database import Connection
from nexus_shared.ids import TenantId
from nexus_trigger_processor.store.filtering import Filter

_DECISIONS = """
    select d.position, d.trigger_id, d.generation, d.version, d.recorded_at, d.event_id, d.source, d.type, d.subject,
           d.outcome, d.reason, d.detail, d.run_id, d.decided_at, t.name as trigger_name,
           coalesce(v.definition ->> 'event_type', d.type) as listens_to
      from decisions d
      left join triggers t on t.trigger_id = d.trigger_id
      left join trigger_versions v on v.trigger_id = d.trigger_id and v.version = d.version
"""

DecisionKey = tuple[int, UUID, int]
"""(position, trigger id, generation): what the list is ordered by."""


class Decision(NamedTuple):
    """A kept decision; `detail` is sealed, `listens_to` the event type or pattern of the version that decided."""

    position: int
    trigger_id: UUID
    generation: int
    version: int
    recorded_at: datetime
    event_id: str
    source: str
    type: str
    subject: str | None
    outcome: str
    reason: str
    detail: bytes | None
    run_id: UUID | None
    decided_at: datetime
    trigger_name: str | None
    listens_to: str


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """What a list is narrowed to; times are those of recording, `since` included and `until` not."""

    event_id: str | None = None
    source: str | None = None
    trigger_id: UUID | None = None
    outcomes: Sequence[str] = ()
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class DecisionStore:
    async def page(
        self,
        tenant_id: TenantId,
        connection: Connection,
        narrowed: DecisionFilter,
        after: DecisionKey | None,
        limit: int,
    ) -> list[Decision]:
        """At most `limit` decisions, of the newest events first, after the one with this key."""
        where = Filter()
        where.add("d.tenant_id = ?", tenant_id)
        where.add("d.event_id = ?", narrowed.event_id)
        where.add("d.source = ?", narrowed.source)
        where.add("d.trigger_id = ?", narrowed.trigger_id)
        where.add("d.outcome = any(?::text[])", list(narrowed.outcomes) or None)
        where.add("d.subject = ?", narrowed.subject)
        where.add("d.recorded_at >= ?", narrowed.since)
        where.add("d.recorded_at < ?", narrowed.until)
        where.add("(d.position, d.trigger_id, d.generation) < (?, ?, ?)", *(after or (None, None, None)))
        rows = await connection.fetch(
            f"{_DECISIONS} where {where} order by d.position desc, d.trigger_id desc, d.generation desc"
            f" limit {where.value(limit)}",
            *where.values,
        )
        return [Decision(*row) for row in rows]

    async def of_run(
        self,
        tenant_id: TenantId,
        connection: Connection,
        *,
        position: int,
        trigger_id: UUID,
        generation: int,
        recorded_at: datetime,
    ) -> Decision | None:
        """The decision that began a run."""
        row = await connection.fetchrow(
            f"{_DECISIONS} where d.tenant_id = $1 and d.position = $2 and d.trigger_id = $3 and d.generation = $4"
            " and d.recorded_at = $5",
            tenant_id,
            position,
            trigger_id,
            generation,
            recorded_at,
        )
        return Decision(*row) if row else None
