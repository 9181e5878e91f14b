"""Runs as they are looked at and intervened in: pages, actions with their attempts, cancelling, redriving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nexus_shared.database import Connection
from nexus_shared.ids import TenantId
from nexus_trigger_processor.store.filtering import Filter

REDRIVE_HOURS = 72

_RUNS = """
    select r.run_id, r.recorded_at, r.trigger_id, t.name as trigger_name, r.version, r.position, r.event_id, r.source,
           r.type, r.subject, r.correlation_id, r.hops, r.generation, r.status, r.open_actions, r.failed_actions,
           r.created_at, r.finished_at, r.cancelled_by, r.cancel_reason
      from runs r left join triggers t on t.trigger_id = r.trigger_id
"""

_ACTIONS = """
    select a.action_id, a.step, a.kind, a.target, a.status, a.attempts, a.max_attempts, a.on_unknown, a.error_class,
           a.created_at, a.finished_at, a.deadline_at,
           case when p.leased_by is null or p.due_at <= clock_timestamp() then p.due_at end as next_attempt_at,
           coalesce(p.leased_by is not null and p.due_at > clock_timestamp(), false) as is_in_flight
      from actions a left join pending_actions p on p.action_id = a.action_id
     where a.tenant_id = $1 and a.run_id = $2 and a.recorded_at = $3
     order by (select e.place from trigger_versions v,
                      jsonb_array_elements(v.definition -> 'actions') with ordinality as e (action, place)
                where v.trigger_id = $4 and v.version = $5 and e.action ->> 'key' = a.step), a.step
"""

# What is being sent right now cannot be called back: its attempt ends first, and its outcome is recorded.
_CANCEL = """
    with gone as (
        delete from pending_actions p using actions a
         where a.tenant_id = $1 and a.run_id = $2 and a.recorded_at = $3 and p.action_id = a.action_id
           and (p.leased_by is null or p.due_at <= clock_timestamp())
        returning p.action_id
    ), stopped as (
        update actions a set status = 'cancelled', status_seq = a.status_seq + 1, finished_at = clock_timestamp()
          from gone where a.tenant_id = $1 and a.action_id = gone.action_id and a.recorded_at = $3
        returning a.action_id
    ), counted as (
        update runs r set open_actions = r.open_actions - s.number, failed_actions = r.failed_actions + s.number,
               status = case when r.open_actions = s.number then 'cancelled' else r.status end,
               finished_at = case when r.open_actions = s.number then clock_timestamp() end,
               cancelled_by = $4, cancel_reason = $5
          from (select count(*)::int as number from stopped) s
         where r.tenant_id = $1 and r.run_id = $2 and r.recorded_at = $3 and s.number > 0
    )
    select action_id from stopped
"""

# The same action ids and the next attempt numbers. A second call finds nothing that failed.
_REDRIVE = """
    with again as (
        update actions a set status = 'queued', status_seq = a.status_seq + 1, error_class = null, finished_at = null,
               deadline_at = greatest(a.deadline_at, clock_timestamp() + $4 * interval '1 hour')
         where a.tenant_id = $1 and a.run_id = $2 and a.recorded_at = $3 and a.status in ('failed', 'unknown')
        returning a.action_id, a.attempts
    ), waiting as (
        insert into pending_actions (action_id, recorded_at, tenant_id, attempt, base)
        select again.action_id, $3, $1, made.number, made.number
          from again cross join lateral (select greatest(again.attempts, coalesce((select max(t.attempt) from attempts t
               where t.action_id = again.action_id and t.recorded_at = $3), 0)) as number) made
    ), reopened as (
        update runs r set status = 'running', finished_at = null, open_actions = r.open_actions + s.number,
               failed_actions = r.failed_actions - s.number
          from (select count(*)::int as number from again) s
         where r.tenant_id = $1 and r.run_id = $2 and r.recorded_at = $3 and s.number > 0
    )
    select action_id from again
"""

RunKey = tuple[int, UUID]
"""(position, run id): what the list is ordered by."""


class Run(NamedTuple):
    run_id: UUID
    recorded_at: datetime
    trigger_id: UUID
    trigger_name: str | None
    version: int
    position: int
    event_id: str
    source: str
    type: str
    subject: str | None
    correlation_id: str
    hops: int
    generation: int
    status: str
    open_actions: int
    failed_actions: int
    created_at: datetime
    finished_at: datetime | None
    cancelled_by: str | None
    cancel_reason: str | None


class Action(NamedTuple):
    """`next_attempt_at` is set while it waits, `is_in_flight` while a request is out."""

    action_id: UUID
    step: str
    kind: str
    target: str
    status: str
    attempts: int
    max_attempts: int
    on_unknown: str
    error_class: str | None
    created_at: datetime
    finished_at: datetime | None
    deadline_at: datetime
    next_attempt_at: datetime | None
    is_in_flight: bool


class Attempt(NamedTuple):
    """`response` is sealed; no `finished_at` means that it is running, or that its worker died."""

    action_id: UUID
    attempt: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    code: str | None
    http_status: int | None
    latency_ms: int | None
    response: bytes | None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What a list is narrowed to; times are those of recording, `since` included and `until` not."""

    trigger_id: UUID | None = None
    statuses: Sequence[str] = ()
    event_id: str | None = None
    source: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class RunStore:
    """Everything here runs inside the caller's transaction."""

    async def page(
        self,
        tenant_id: TenantId,
        connection: Connection,
        narrowed: RunFilter,
        after: RunKey | None,
        limit: int,
    ) -> list[Run]:
        """At most `limit` runs, of the newest events first, after the one with this key."""
        where = Filter()
        where.add("r.tenant_id = ?", tenant_id)
        where.add("r.trigger_id = ?", narrowed.trigger_id)
        where.add("r.status = any(?::text[])", list(narrowed.statuses) or None)
        # Decisions have the index by event, so that runs need none of their own.
        where.add(
            "r.position in (select d.position from decisions d where d.tenant_id = ? and d.event_id = ?)",
            tenant_id,
            narrowed.event_id,
        )
        where.add("r.event_id = ?", narrowed.event_id)
        where.add("r.source = ?", narrowed.source)
        where.add("r.subject = ?", narrowed.subject)
        where.add("r.recorded_at >= ?", narrowed.since)
        where.add("r.recorded_at < ?", narrowed.until)
        where.add("(r.position, r.run_id) < (?, ?)", *(after or (None, None)))
        rows = await connection.fetch(
            f"{_RUNS} where {where} order by r.position desc, r.run_id desc limit {where.value(limit)}",
            *where.values,
        )
        return [Run(*row) for row in rows]

    async def find(self, tenant_id: TenantId, connection: Connection, run_id: UUID) -> Run | None:
        row = await connection.fetchrow(
            f"{_RUNS} where r.tenant_id = $1 and r.run_id = $2", tenant_id, run_id
        )
        return Run(*row) if row else None

    async def actions(self, tenant_id: TenantId, connection: Connection, run: Run) -> list[Action]:
        """In the order of the trigger's definition."""
        rows = await connection.fetch(
            _ACTIONS, tenant_id, run.run_id, run.recorded_at, run.trigger_id, run.version
        )
        return [Action(*row) for row in rows]

    async def attempts(
        self, tenant_id: TenantId, connection: Connection, run: Run, action_ids: Sequence[UUID]
    ) -> list[Attempt]:
        """In the order they were made."""
        rows = await connection.fetch(
            "select action_id, attempt, started_at, finished_at, outcome, code, http_status, latency_ms, response"
            " from attempts where tenant_id = $1 and action_id = any($2::uuid[]) and recorded_at = $3"
            " order by action_id, attempt",
            tenant_id,
            list(action_ids),
            run.recorded_at,
        )
        return [Attempt(*row) for row in rows]

    async def cancel(
        self, tenant_id: TenantId, connection: Connection, run: Run, *, by: str, reason: str
    ) -> set[UUID]:
        """Takes back what waits for its next attempt; the ids of those actions."""
        rows = await connection.fetch(_CANCEL, tenant_id, run.run_id, run.recorded_at, by, reason)
        return {row["action_id"] for row in rows}

    async def redrive(self, tenant_id: TenantId, connection: Connection, run: Run) -> set[UUID]:
        """Puts what failed, or has an unknown outcome, back among what waits; the ids of those actions."""
        rows = await connection.fetch(_REDRIVE, tenant_id, run.run_id, run.recorded_at, REDRIVE_HOURS)
        return {row["action_id"] for row in rows}
