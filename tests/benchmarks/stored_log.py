"""(g) Appending to a log that already holds events, against appending to an empty one."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
from rich.progress import Progress

from benchmarks import events
from benchmarks.costs import cpu_seconds
from benchmarks.processes import MeasurementInvalid
from benchmarks.report import Report
from benchmarks.stage import Admin, Stage
from nexus_ingest.store.log import LogStore, Row
from nexus_shared.database import Database
from nexus_shared.testing.databases import FreshDatabase

ROWS = 500
BATCHES = 10
CHUNK = 50_000
SEALED_BYTES = 420
DATA = (
    '{"lead_id":"L-%s","source":"ads","utm":{"source":"google","medium":"cpc","campaign":"verao-2027","ad_id":"ad-7"},'
    '"interest_service_id":"srv-clareamento","owner_id":"atendente-3","status":"novo","consent":{"whatsapp":true,'
    '"marketing":false,"at":"2026-11-23T09:00:00-03:00"},"booked_channel":"whatsapp","tz":"America/Sao_Paulo"}'
)
ABOUT = (
    "(g) two databases in turns, one log with {stored:,} events spread evenly over the 35 days of the dedupe window "
    "(inserted on the server, analyzed), one empty: ingest's own append, {rows} events a statement, {batches} "
    "statements a turn, one connection; the ratio is the median over turns. append_cpu_ratio is the CPU of "
    "PostgreSQL's process per event, empty / stored"
)
_WEEKS = """
    select ingest.create_partition(week, week + interval '1 week') from generate_series(
        date_trunc('week', now() - interval '35 days', 'UTC'), date_trunc('week', now(), 'UTC'), interval '1 week') week
"""
# Ids in random order, as UUIDs are: that is what makes an index large and cold.
_LOAD = """
    insert into ingest.automation_events (position, recorded_at, lane, tenant_id, source, event_id, type, is_known,
        schema_version, subject, occurred_at, correlation_id, hops, data, sealed, key_id, digest)
    select n, at, n % 16, 'clinica-' || lpad((n % 200)::text, 3, '0'), 'crm', id, 'lead.created', true, 1,
           'lead/L-' || n, at, id, 0, format($4::text, n)::json, decode(repeat(md5(n::text), $5::int / 16), 'hex'),
           md5('k' || n)::uuid, sha256(n::text::bytea)
      from generate_series($1::bigint, $2::bigint) n
     cross join lateral (select now() - interval '35 days' + n * (interval '35 days' - interval '1 minute') / $3::bigint
                                as at, md5('event' || n)::uuid::text as id) made
"""


@dataclass
class Log:
    """A log under measurement. `rates` are events per second of each turn, `cpu` PostgreSQL's µs per event."""

    database: Database
    backend: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


async def measure(stage: Stage, report: Report) -> None:
    stored = stage.scale.stored
    report.about(ABOUT.format(stored=stored, rows=ROWS, batches=BATCHES))
    full, empty = await stage.database(), await stage.database()
    admin = await asyncpg.connect(full.admin_url)
    logs: list[Log] = []
    try:
        await _load(admin, stored)
        report.about(f"(g) the log: {await _described(admin, stored)}")
        await admin.execute("checkpoint")
        logs = [await _opened(full), await _opened(empty)]
        await _take_turns(logs, stage.scale.append_rounds)
    finally:
        await admin.close()
        for log in logs:
            await log.database.close()
        await stage.databases.drop_clones()
    _tell(report, *logs, stored=stored)


async def _load(admin: Admin, stored: int) -> None:
    """Events of the whole window, and the log's head and relays after the last of them."""
    await admin.execute(_WEEKS)
    with Progress(transient=True) as progress:
        task = progress.add_task("storing events", total=stored)
        for first in range(1, stored + 1, CHUNK):
            last = min(first + CHUNK - 1, stored)
            await admin.execute(_LOAD, first, last, stored, DATA, SEALED_BYTES, timeout=600)
            progress.update(task, completed=last)
    await admin.execute(
        "with last as (select position, recorded_at from ingest.automation_events order by position desc limit 1),"
        " relayed as (update ingest.relays r set position = l.position, recorded_at = l.recorded_at from last l)"
        " update ingest.log_head set last_position = l.position, last_recorded_at = l.recorded_at from last l"
    )
    await admin.execute("vacuum analyze ingest.automation_events", timeout=1800)


async def _described(admin: Admin, stored: int) -> str:
    """Partitions and sizes; raises MeasurementInvalid when the log is not what was meant."""
    rows = await admin.fetch(
        "select tableoid::regclass::text as leaf, count(*) as events from ingest.automation_events"
        " group by 1 order by 1"
    )
    if sum(row["events"] for row in rows) != stored or len(rows) < 5:
        raise MeasurementInvalid(f"stored: {[tuple(row) for row in rows]}")
    size = await admin.fetchval(
        "select sum(pg_total_relation_size(relid)) from pg_partition_tree('ingest.automation_events')"
    )
    spread = ", ".join(f"{row['events']:,}" for row in rows)
    return f"{stored:,} events in {len(rows)} partitions ({spread}), {size / 2**30:.2f} GiB with indexes"


async def _opened(made: FreshDatabase) -> Log:
    database = Database(made.worker_url, made.api_url, service="benchmark", worker_size=1, api_size=1)
    await database.open()
    async with database.connection() as connection:
        return Log(database, await connection.fetchval("select pg_backend_pid()"))


async def _take_turns(logs: Sequence[Log], rounds: int) -> None:
    """Each turn appends the same amount to every log; who goes first alternates. The first round only warms up."""
    for number in range(rounds + 1):
        for log in logs if number % 2 else reversed(logs):
            rate, cpu = await _append(log)
            if number:
                log.rates.append(rate)
                log.cpu.append(cpu)


async def _append(log: Log) -> tuple[float, float]:
    store = LogStore(log.database, writer="benchmark")
    batches = [[_row() for _ in range(ROWS)] for _ in range(BATCHES)]
    cpu, started = cpu_seconds(log.backend), time.perf_counter()
    for batch in batches:
        answers = await store.append(batch)
        assert all(answer.status == "stored" for answer in answers)
    took, count = time.perf_counter() - started, ROWS * BATCHES
    return count / took, (cpu_seconds(log.backend) - cpu) / count * 1e6


def _row() -> Row:
    event_id, number = str(uuid4()), secrets.randbelow(10**9)
    return Row(
        lane=number % 16,
        tenant_id=events.tenant(number),
        source="crm",
        event_id=event_id,
        type="lead.created",
        is_known=True,
        schema_version=1,
        subject=f"lead/L-{number}",
        occurred_at=datetime.now(UTC),
        correlation_id=event_id,
        causation_id=None,
        hops=0,
        traceparent=None,
        data=DATA % number,
        sealed=os.urandom(SEALED_BYTES),
        key_id=uuid4(),
        digest=os.urandom(32),
    )


def _tell(report: Report, full: Log, empty: Log, *, stored: int) -> None:
    report.add("stored_events", stored)
    report.add("append_full_eps", *full.rates)
    report.add("append_empty_eps", *empty.rates)
    report.add("append_ratio", *(one / other for one, other in zip(full.rates, empty.rates, strict=True)))
    report.add("append_cpu_ratio", sum(empty.cpu) / sum(full.cpu))
