"""Actions this service performs itself: claimed fairly, their intent committed first, their outcome recorded once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nexus_shared.database import Connection, Database, across_tenants

LEASE_SECONDS = 60

# Tenants by their oldest due action, none above its cap; a flood of one waits behind its own cap. The walk over tenants
# visits only those that have something pending.
_CLAIM = """
    with recursive tenants as (
        (select tenant_id from pending_actions order by tenant_id limit 1)
        union all
        select (select p.tenant_id from pending_actions p where p.tenant_id > t.tenant_id order by p.tenant_id limit 1)
          from tenants t where t.tenant_id is not null
    ), ready as (
        select t.tenant_id, oldest.due_at,
               $3 - (select count(*) from (select from pending_actions p where p.tenant_id = t.tenant_id
                       and p.leased_by is not null and p.due_at > clock_timestamp() limit $3) as held) as room
          from tenants t cross join lateral (
               select p.due_at from pending_actions p where p.tenant_id = t.tenant_id order by p.due_at limit 1) oldest
         where t.tenant_id is not null and oldest.due_at <= clock_timestamp()
    ), picked as (
        select p.action_id from (select * from ready where room > 0 order by due_at limit $2) r
         cross join lateral (
               select p.action_id, p.due_at from pending_actions p
                where p.tenant_id = r.tenant_id and p.due_at <= clock_timestamp()
                order by p.due_at limit least(r.room, $4) for update skip locked) p
         limit $2
    ), claimed as (
        update pending_actions p
           set attempt = p.attempt + 1, leased_by = $1, due_at = clock_timestamp() + $5 * interval '1 second'
          from picked where p.action_id = picked.action_id
        returning p.action_id, p.recorded_at, p.tenant_id, p.attempt, p.base
    ), intended as (
        insert into attempts (action_id, attempt, recorded_at, tenant_id, worker)
        select action_id, attempt, recorded_at, tenant_id, $1 from claimed
    )
    select c.action_id, c.recorded_at, c.tenant_id, c.attempt, c.base, a.run_id, a.step, a.kind, a.request,
           a.max_attempts, a.on_unknown, a.deadline_at, r.trigger_id, r.event_id, r.correlation_id, r.hops,
           r.traceparent,
           s.sealed as secret, case when s.previous_until > clock_timestamp() then s.previous end as previous_secret
      from claimed c
      join actions a on a.action_id = c.action_id and a.recorded_at = c.recorded_at
      join runs r on r.run_id = a.run_id and r.recorded_at = c.recorded_at
      left join action_secrets s on s.trigger_id = r.trigger_id and s.action_key = a.step
"""

# The attempt number fences: a worker that lost its lease writes nothing.
_SETTLE = """
    with given as (
        select * from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[], $5::text[], $6::smallint[],
                             $7::int[], $8::bytea[], $9::text[], $10::timestamptz[])
            as g (action_id, attempt, recorded_at, outcome, code, http_status, latency_ms, response, status, due_at)
    ), held as (
        select g.* from given g join pending_actions p on p.action_id = g.action_id and p.attempt = g.attempt
         order by g.action_id for update of p
    ), tried as (
        update attempts t set finished_at = clock_timestamp(), outcome = h.outcome, code = h.code,
               http_status = h.http_status, latency_ms = h.latency_ms, response = h.response
          from held h where t.action_id = h.action_id and t.attempt = h.attempt and t.recorded_at = h.recorded_at
    ), ended as (
        delete from pending_actions p using held h where p.action_id = h.action_id and h.due_at is null
    ), postponed as (
        update pending_actions p set due_at = h.due_at, leased_by = null from held h
         where p.action_id = h.action_id and h.due_at is not null
    ), acted as (
        update actions a set status = h.status, status_seq = a.status_seq + 1, attempts = h.attempt, error_class =
               case when h.status = 'succeeded' then null else h.code end,
               finished_at = case when h.due_at is null then clock_timestamp() end
          from held h where a.action_id = h.action_id and a.recorded_at = h.recorded_at
        returning a.run_id, a.recorded_at, h.due_at is null as is_final, h.status <> 'succeeded' as is_failure
    ), advanced as (
        update runs r set open_actions = r.open_actions - f.final, failed_actions = r.failed_actions + f.failed,
               status = case when r.open_actions > f.final then r.status
                             when r.failed_actions + f.failed = 0 then 'succeeded'
                             when r.failed_actions + f.failed = (select count(*) from actions a
                                  where a.run_id = r.run_id and a.recorded_at = r.recorded_at) then 'failed'
                             else 'partial' end,
               finished_at = case when r.open_actions = f.final then clock_timestamp() end
          from (select run_id, recorded_at, count(*) as final, count(*) filter (where is_failure) as failed
                  from acted where is_final group by run_id, recorded_at) f
         where r.run_id = f.run_id and r.recorded_at = f.recorded_at
    )
    select action_id from held
"""


class Claim(NamedTuple):
    """One attempt to make now: its intent is committed, its lease runs. `base` attempts were made before a redrive."""

    action_id: UUID
    recorded_at: datetime
    tenant_id: str
    attempt: int
    base: int
    run_id: UUID
    step: str
    kind: str
    request: bytes
    max_attempts: int
    on_unknown: str
    deadline_at: datetime
    trigger_id: UUID
    event_id: str
    correlation_id: str
    hops: int
    traceparent: str | None
    secret: bytes | None
    previous_secret: bytes | None


class Settlement(NamedTuple):
    """What an attempt came to. `due_at` None = the action is over, with `status`."""

    action_id: UUID
    attempt: int
    recorded_at: datetime
    outcome: str
    code: str
    http_status: int | None
    latency_ms: int
    response: bytes | None
    status: str
    due_at: datetime | None


class SendingStore:
    def __init__(self, database: Database, worker: str) -> None:
        self._database, self._worker = database, worker

    @across_tenants("one sender serves all tenants, fairly")
    async def claim(self, slots: int, *, tenant_cap: int, per_claim: int) -> list[Claim]:
        """At most `slots` attempts, `per_claim` of one tenant, never more than `tenant_cap` of one in flight."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CLAIM, self._worker, slots, tenant_cap, per_claim, LEASE_SECONDS)
        return [Claim(*row) for row in rows]

    @across_tenants("one sender serves all tenants")
    async def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> set[UUID]:
        """Records outcomes inside the caller's transaction; returns the actions that still held their lease."""
        columns = [list(column) for column in zip(*settlements, strict=True)]
        return {row["action_id"] for row in await connection.fetch(_SETTLE, *columns)}

    @across_tenants("the oldest due action of all tenants")
    async def lag_seconds(self) -> float:
        """How long the oldest due action has been waiting."""
        async with self._database.connection() as connection:
            return float(
                await connection.fetchval(
                    "select coalesce(greatest(0, extract(epoch from clock_timestamp() - min(due_at))), 0)"
                    " from pending_actions"
                )
            )
