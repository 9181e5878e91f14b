"""What the platform and the receiver have on record, read straight from the database and the receiver's file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from tests.harness.ledger import Identity, Ledger
from tests.harness.triggers import Published

from nexus_shared.envelope import Event

Row = asyncpg.Record


class Stored(NamedTuple):
    position: int
    lane: int
    tenant_id: str
    source: str
    event_id: str
    type: str
    subject: str | None
    digest: bytes
    recorded_at: datetime

    @property
    def identity(self) -> Identity:
        return self.tenant_id, self.source, self.event_id


class Run(NamedTuple):
    run_id: UUID
    trigger_id: UUID
    tenant_id: str
    source: str
    event_id: str
    position: int
    status: str

    @property
    def event(self) -> Identity:
        return self.tenant_id, self.source, self.event_id


class Action(NamedTuple):
    action_id: UUID
    run_id: UUID
    status: str
    attempts: int


class Attempt(NamedTuple):
    """`outcome` is None where the worker died or lost its lease before it could say."""

    action_id: UUID
    attempt: int
    outcome: str | None


class Delivery(NamedTuple):
    webhook_id: str
    path: str
    status: int | None
    signature: str
    event: Identity


@dataclass(frozen=True)
class Waiting:
    """What the platform still has to do. `lanes`: (lane, what the log has, what was matched, what ingest was told)."""

    unrecorded: int
    pending: int
    outbox: int
    lanes: Sequence[tuple[int, int, int, int]]

    @property
    def is_over(self) -> bool:
        return not (self.unrecorded or self.pending or self.outbox or self.behind)

    @property
    def behind(self) -> list[str]:
        """Lanes whose matching or report is not at the head of the log."""
        return [
            f"lane {lane}: log {head}, matched {matched}, reported {told}"
            for lane, head, matched, told in self.lanes
            if not head <= min(matched, told)
        ]

    def __str__(self) -> str:
        return (
            f"{self.unrecorded} confirmed events not recorded, {self.pending} actions pending, {self.outbox} messages "
            f"in the outbox, {len(self.behind)} lanes behind"
        )


@dataclass(frozen=True)
class Evidence:
    """Everything the checker looks at."""

    ledger: Ledger
    published: Sequence[Published]
    stored: Sequence[Stored]
    epochs: Sequence[int]
    blocks: Sequence[Row]
    quarantined: frozenset[Identity]
    decisions: Mapping[tuple[UUID, int], int]
    runs: Sequence[Run]
    actions: Sequence[Action]
    attempts: Mapping[UUID, Sequence[Attempt]]
    executions: Mapping[UUID, int]
    deliveries: Sequence[Delivery]
    waiting: Waiting

    @property
    def sent(self) -> Mapping[Identity, Event]:
        return self.ledger.attempted


async def waiting(connection: asyncpg.Connection[Row], ledger: Ledger) -> Waiting:
    """Cheap enough to be asked every half second."""
    counts = await connection.fetchrow(
        "select (select count(*) from trigger_processor.pending_actions) as pending,"
        " (select count(*) from trigger_processor.outbox) as outbox"
    )
    lanes = await connection.fetch(
        "select l.lane, coalesce(e.head, 0), l.position, coalesce(r.lane_positions[l.lane + 1], 0)"
        " from trigger_processor.lanes l"
        " left join (select lane, max(position) as head from ingest.automation_events group by lane) e using (lane)"
        " left join ingest.reader_positions r on r.service = 'trigger-processor' order by l.lane"
    )
    known = await connection.fetch(
        "select tenant_id, source, event_id from ingest.automation_events union all"
        " select tenant_id, source, event_id from ingest.quarantine"
    )
    unrecorded = len(ledger.confirmed - {tuple(row) for row in known})
    assert counts is not None
    return Waiting(unrecorded, counts["pending"], counts["outbox"], [tuple(row) for row in lanes])


async def gather(
    connection: asyncpg.Connection[Row],
    ledger: Ledger,
    published: Sequence[Published],
    requests: Sequence[Mapping[str, Any]],
) -> Evidence:
    """`requests` are the receiver's."""
    attempts: dict[UUID, list[Attempt]] = defaultdict(list)
    for row in await connection.fetch(_ATTEMPTS):
        attempts[row["action_id"]].append(Attempt(*row))
    return Evidence(
        ledger=ledger,
        published=published,
        stored=[Stored(*row) for row in await connection.fetch(_STORED)],
        epochs=[row[0] for row in await connection.fetch(_EPOCHS)],
        blocks=await connection.fetch(_BLOCKS),
        quarantined=frozenset(tuple(row) for row in await connection.fetch(_QUARANTINED)),
        decisions={(row[0], row[1]): row[2] for row in await connection.fetch(_DECISIONS)},
        runs=[Run(*row) for row in await connection.fetch(_RUNS)],
        actions=[Action(*row) for row in await connection.fetch(_ACTIONS)],
        attempts=attempts,
        executions={row[0]: row[1] for row in await connection.fetch(_EXECUTIONS)},
        deliveries=[_delivery(request) for request in requests],
        waiting=await waiting(connection, ledger),
    )


def _delivery(request: Mapping[str, Any]) -> Delivery:
    event = json.loads(request["body"])
    return Delivery(
        request["webhook_id"],
        request["path"],
        request["status"],
        request["signature"],
        (event["tenantid"], event["source"], event["id"]),
    )


_STORED = (
    "select position, lane, tenant_id, source, event_id, type, subject, digest, recorded_at"
    " from ingest.automation_events order by position"
)
_EPOCHS = "select first_position from ingest.log_epochs order by epoch"
_BLOCKS = (
    "select first_position, last_position, previous_hash, block_hash from ingest.log_blocks"
    " order by last_position"
)
_QUARANTINED = "select tenant_id, source, event_id from ingest.quarantine where event_id is not null"
_DECISIONS = "select trigger_id, position, count(*) from trigger_processor.decisions where generation = 0 group by 1, 2"
_RUNS = (
    "select run_id, trigger_id, tenant_id, source, event_id, position, status from trigger_processor.runs"
    " order by position"
)
_ACTIONS = "select action_id, run_id, status, attempts from trigger_processor.actions"
_ATTEMPTS = "select action_id, attempt, outcome from trigger_processor.attempts order by action_id, attempt"
_EXECUTIONS = "select trigger_id, executions from trigger_processor.trigger_stats"
