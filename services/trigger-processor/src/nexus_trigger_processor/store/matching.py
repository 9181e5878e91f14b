"""Taking in events: lanes, the live triggers, and everything a batch of decisions leaves behind, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from nexus_shared.database import Connection, across_tenants
from nexus_shared.database.outbox import OutboxRow

_LIVE = """
    select t.tenant_id, t.event_type, t.trigger_id, t.version, t.effective_after, v.definition
      from triggers t join trigger_versions v using (trigger_id, version)
     where t.status = 'published' and t.deleted_at is null
       and ((t.tenant_id, t.event_type) in (select * from unnest($1::text[], $2::text[]))
            or (t.tenant_id = any($1) and t.event_type like '%*%'))
     order by t.trigger_id
"""

# One round trip for a whole batch. Only runs that are really new bring actions along: matching again creates what is
# missing and nothing else.
_WRITE = """
    with decided as (
        insert into decisions (recorded_at, position, trigger_id, version, tenant_id, event_id, source, type, subject,
                               outcome, reason, detail, run_id)
        select * from unnest($1::timestamptz[], $2::bigint[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[],
                             $8::text[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::uuid[])
        on conflict do nothing
    ), started as (
        insert into runs (run_id, recorded_at, tenant_id, trigger_id, version, position, event_id, source, type,
                          subject, correlation_id, hops, traceparent, open_actions)
        select * from unnest($14::uuid[], $15::timestamptz[], $16::text[], $17::uuid[], $18::int[], $19::bigint[],
                             $20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::smallint[],
                             $26::text[], $27::int[])
        on conflict do nothing
        returning run_id, trigger_id, tenant_id
    ), planned as (
        select a.* from unnest($28::uuid[], $29::timestamptz[], $30::uuid[], $31::text[], $32::text[], $33::text[],
                             $34::text[], $35::bytea[], $36::smallint[], $37::text[], $38::timestamptz[])
            as a (action_id, recorded_at, run_id, tenant_id, step, kind, target, request, max_attempts, on_unknown,
                  deadline_at)
          join started using (run_id)
    ), acting as (
        insert into actions (action_id, recorded_at, run_id, tenant_id, step, kind, target, request, max_attempts,
                             on_unknown, deadline_at)
        select * from planned
    ), waiting as (
        insert into pending_actions (action_id, recorded_at, tenant_id)
        select action_id, recorded_at, tenant_id from planned
    ), counted as (
        insert into trigger_stats as s (trigger_id, tenant_id, executions, last_run_id, last_run_at)
        select trigger_id, tenant_id, count(*), (array_agg(run_id))[1], clock_timestamp()
          from started group by trigger_id, tenant_id order by trigger_id
        on conflict (trigger_id) do update set executions = s.executions + excluded.executions,
               last_run_id = excluded.last_run_id, last_run_at = excluded.last_run_at
    ), moved as (
        update lanes l set position = m.position, holes = l.holes + m.holes, updated_at = clock_timestamp()
          from unnest($39::smallint[], $40::bigint[], $41::int[]) as m (lane, position, holes) where l.lane = m.lane
    ), posted as (
        insert into outbox (exchange, key, message_id, content_type, body)
        select * from unnest($42::text[], $43::text[], $44::text[], $45::text[], $46::bytea[])
        returning id
    )
    select (select array_agg(id order by id) from posted) as outbox_ids, (select count(*) from started) as started
"""


_MOVE = """
    update lanes l set position = m.position, holes = l.holes + m.holes, updated_at = clock_timestamp()
      from unnest($1::smallint[], $2::bigint[], $3::int[]) as m (lane, position, holes) where l.lane = m.lane
"""


class DecisionRow(NamedTuple):
    recorded_at: datetime
    position: int
    trigger_id: UUID
    version: int
    tenant_id: str
    event_id: str
    source: str
    type: str
    subject: str | None
    outcome: str
    reason: str
    detail: bytes | None
    run_id: UUID | None


class RunRow(NamedTuple):
    run_id: UUID
    recorded_at: datetime
    tenant_id: str
    trigger_id: UUID
    version: int
    position: int
    event_id: str
    source: str
    type: str
    subject: str | None
    correlation_id: str
    hops: int
    traceparent: str | None
    open_actions: int


class ActionRow(NamedTuple):
    action_id: UUID
    recorded_at: datetime
    run_id: UUID
    tenant_id: str
    step: str
    kind: str
    target: str
    request: bytes
    max_attempts: int
    on_unknown: str
    deadline_at: datetime


class LaneMove(NamedTuple):
    lane: int
    position: int
    holes: int


class LiveTrigger(NamedTuple):
    tenant_id: str
    event_type: str
    trigger_id: UUID
    version: int
    effective_after: int
    definition: str


class Written(NamedTuple):
    """Ids of the outbox rows, in order, and how many runs are new."""

    outbox_ids: list[int]
    started: int


class MatchingStore:
    """Everything here runs inside the transaction of one batch."""

    @across_tenants("a lane carries subjects of all tenants")
    async def lock_lanes(self, connection: Connection, lanes: Sequence[int]) -> dict[int, int]:
        """lane -> position, locked until the transaction ends; always in the same order."""
        rows = await connection.fetch(
            "select lane, position from lanes where lane = any($1::smallint[]) order by lane for update",
            list(lanes),
        )
        return {row["lane"]: row["position"] for row in rows}

    @across_tenants("changes of triggers of all tenants")
    async def changes_since(self, connection: Connection, revision: int) -> list[tuple[int, str, str]]:
        """(revision, tenant, event type) of every change after `revision`.

        Ask after the lanes are locked, in a statement of its own: then nothing published before the batch is missed.
        """
        rows = await connection.fetch(
            "select revision, tenant_id, event_type from trigger_changes where revision > $1 order by revision",
            revision,
        )
        return [(row["revision"], row["tenant_id"], row["event_type"]) for row in rows]

    @across_tenants("the newest change of all tenants")
    async def newest_change(self, connection: Connection) -> int:
        return int(await connection.fetchval("select coalesce(max(revision), 0) from trigger_changes"))

    @across_tenants("one batch holds events of many tenants")
    async def live_triggers(
        self, connection: Connection, keys: Sequence[tuple[str, str]]
    ) -> list[LiveTrigger]:
        """The published triggers of these (tenant, event type) pairs, and all of these tenants that name a pattern."""
        tenants, types = [key[0] for key in keys], [key[1] for key in keys]
        return [LiveTrigger(*row) for row in await connection.fetch(_LIVE, tenants, types)]

    @across_tenants("a lane carries subjects of all tenants")
    async def move(self, connection: Connection, moves: Sequence[LaneMove]) -> None:
        """For a batch that concerns no trigger, which most do."""
        await connection.execute(_MOVE, *_columns(moves, LaneMove))

    @across_tenants("one batch holds events of many tenants")
    async def write(
        self,
        connection: Connection,
        *,
        decisions: Sequence[DecisionRow] = (),
        runs: Sequence[RunRow] = (),
        actions: Sequence[ActionRow] = (),
        moves: Sequence[LaneMove] = (),
        outbox: Sequence[OutboxRow] = (),
    ) -> Written:
        """All or nothing, once: what is there already stays as it is."""
        columns = [
            *_columns(decisions, DecisionRow),
            *_columns(runs, RunRow),
            *_columns(actions, ActionRow),
            *_columns(moves, LaneMove),
            *_columns(outbox, OutboxRow),
        ]
        row = await connection.fetchrow(_WRITE, *columns)
        assert row is not None
        return Written(row["outbox_ids"] or [], row["started"])


def _columns(rows: Sequence[tuple[Any, ...]], kind: type[Any]) -> list[list[Any]]:
    if not rows:
        return [[] for _ in kind._fields]
    return [list(column) for column in zip(*rows, strict=True)]
