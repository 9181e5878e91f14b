"""(f) Matching with 10, 1,000 and 100,000 triggers: what an event costs, and what it costs to load them lazily."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson

from benchmarks import events, triggers
from benchmarks.report import Report
from benchmarks.stage import Stage, master_keys
from nexus_shared import catalogue
from nexus_shared.testing.builders import a_lead_created
from nexus_trigger_processor.handlers.deciding import Decider, Plan
from nexus_trigger_processor.handlers.live_triggers import LiveTriggers
from nexus_trigger_processor.store.matching import MatchingStore

SIZES = (10, 1_000, 100_000)
TENANTS = 1_000
SAME = 2
"""Triggers per tenant and event type, in every size."""
BATCH = 500
TYPE = events.TYPES[0]
ABOUT = (
    f"(f) trigger-processor's own LiveTriggers and Decider in one process, triggers read from PostgreSQL: {SAME} "
    f"per tenant and type in every size, up to {TENANTS:,} tenants and as many types as needed; lead.created events "
    f"in batches of {BATCH}, spread over all tenants that have such triggers (5, 500, 1,000). CPU of this process "
    "per event for looking up what changed, finding the triggers, evaluating their clauses and making the sealed "
    "decision rows; no trigger fires. The sizes take turns; "
    "the ratio is the median over rounds of the same round's two costs"
)


@dataclass
class Bench:
    """One size: its database, the events, spread over `tenants`, and the costs of each round in µs per event."""

    size: int
    connection: asyncpg.Connection[asyncpg.Record]
    tenants: int
    batches: Sequence[bytes]
    live: LiveTriggers = field(default_factory=lambda: LiveTriggers(MatchingStore()))
    costs: list[float] = field(default_factory=list)


async def measure(stage: Stage, report: Report) -> None:
    report.about(ABOUT)
    benches = [await _prepared(stage, size) for size in SIZES]
    decider = Decider(master_keys(), lambda tenant_id: {"id": tenant_id}, lambda: datetime.now(UTC))
    try:
        for bench in benches:
            report.add(f"match_first_us_{bench.size}", await _cost(bench, decider))
        for _ in range(stage.scale.match_rounds):
            for bench in benches:
                bench.costs.append(await _cost(bench, decider))
    finally:
        for bench in benches:
            await bench.connection.close()
        await stage.databases.drop_clones()
    _tell(report, *benches)


def _tell(report: Report, ten: Bench, thousand: Bench, most: Bench) -> None:
    for bench in (ten, thousand, most):
        report.add(f"match_us_{bench.size}", *bench.costs)
    for name, bench in (("match_cost_ratio_1k", thousand), ("match_cost_ratio_100k", most)):
        report.add(name, *(cost / base for cost, base in zip(bench.costs, ten.costs, strict=True)))


async def _prepared(stage: Stage, size: int) -> Bench:
    """A database with so many triggers, the types of the catalogue in turn, `TYPE` first."""
    database = await stage.database()
    types = [TYPE, *(name for name in catalogue.all_types() if name != TYPE)]
    pairs = size // SAME
    tenants = [f"clinica-{number:04d}" for number in range(min(TENANTS, pairs))]
    made = [
        triggers.trigger(tenants[pair % len(tenants)], types[pair // len(tenants)], number)
        for pair in range(pairs)
        for number in range(SAME)
    ]
    admin = await asyncpg.connect(database.admin_url)
    await triggers.publish(admin, made, "https://receiver.example/hook", matches=False)
    await admin.close()
    worker = await asyncpg.connect(database.url_of(triggers.SCHEMA))
    return Bench(size, worker, len(tenants), _batches(tenants, stage.scale.match))


def _batches(tenants: Sequence[str], count: int) -> list[bytes]:
    """Events as they come in frames; decoded anew each round, as frames are."""
    recorded_at = datetime.now(UTC).isoformat()
    made: list[dict[str, Any]] = []
    for number in range(count):
        tenant = tenants[number % len(tenants)]
        event = a_lead_created(number=number, tenantid=tenant, correlationid=f"story-{number}").as_dict()
        made.append({**event, "sequence": str(number + 1), "recordedtime": recorded_at})
    return [orjson.dumps(made[start : start + BATCH]) for start in range(0, count, BATCH)]


async def _cost(bench: Bench, decider: Decider) -> float:
    """CPU of this process in µs per event."""
    spent, count = 0.0, 0
    for batch in bench.batches:
        facts = orjson.loads(batch)
        started = time.process_time()
        plan = await _plan(bench, decider, facts)
        spent += time.process_time() - started
        count += len(facts)
        assert len(plan.decisions) == SAME * len(facts), f"{len(plan.decisions)} decisions"
        assert not plan.runs, "a trigger fired"
    return spent / count * 1e6


async def _plan(bench: Bench, decider: Decider, facts: Sequence[dict[str, Any]]) -> Plan:
    """What the matcher does with a batch between its lock and its write."""
    keys = {(event["tenantid"], event["type"]) for event in facts}
    await bench.live.refresh(bench.connection, keys)
    plan = Plan()
    for event in facts:
        for live in bench.live.of((event["tenantid"], event["type"])):
            decider.decide(event, live, plan)
    return plan
