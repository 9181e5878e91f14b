"""What the servers and the client library could do if nothing had to be done: the ceiling of everything else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aio_pika
import asyncpg
from aio_pika.abc import AbstractIncomingMessage

from benchmarks import events, naive_store
from benchmarks.events import Sample
from benchmarks.report import Report
from benchmarks.stage import Place, Stage

QUEUE = "benchmark.raw"
IN_FLIGHT = 200
PREFETCH = 500
ROWS = 500
ABOUT = (
    f"raw baselines, one process each way: aio-pika publishes single events with confirms ({IN_FLIGHT} in flight) to a "
    f"quorum queue, and consumes them with an ack each (prefetch {PREFETCH}); INSERT … SELECT unnest of {ROWS} rows a "
    "commit into the naive table, one connection"
)
_INSERT = """
    insert into naive.events (tenant_id, source, event_id, type, data)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::json[]) on conflict do nothing
"""


async def measure(stage: Stage, report: Report) -> None:
    report.about(ABOUT)
    facts = events.samples(stage.scale.raw)
    async with stage.place() as place:
        report.add("raw_publish_eps", await _publish(place, facts))
        report.add("raw_consume_eps", await _consume(place, len(facts)))
        await naive_store.prepare(place)
        await place.settle()
        report.add("raw_insert_eps", await _insert(place.admin, facts))


async def _publish(place: Place, facts: Sequence[Sample]) -> float:
    connection = await aio_pika.connect(place.vhost.url)
    async with connection, connection.channel() as channel:
        await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        waiting = iter(facts)

        async def publish_some() -> None:
            for fact in waiting:
                message = aio_pika.Message(fact.body, delivery_mode=2, message_id=fact.event_id)
                await channel.default_exchange.publish(message, QUEUE)

        started = time.perf_counter()
        await asyncio.gather(*(publish_some() for _ in range(IN_FLIGHT)))
        return len(facts) / (time.perf_counter() - started)


async def _consume(place: Place, count: int) -> float:
    connection = await aio_pika.connect(place.vhost.url)
    async with connection, connection.channel() as channel:
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(QUEUE, ensure=False)
        done = asyncio.Event()
        left = count

        async def take(message: AbstractIncomingMessage) -> None:
            nonlocal left
            await message.ack()
            left -= 1
            if not left:
                done.set()

        started = time.perf_counter()
        await queue.consume(take)
        async with asyncio.timeout(120):
            await done.wait()
        return count / (time.perf_counter() - started)


async def _insert(connection: asyncpg.Connection[asyncpg.Record], facts: Sequence[Sample]) -> float:
    rows = [(f.tenant_id, f.source, f.event_id, f.type, f.body.decode()) for f in facts]
    started = time.perf_counter()
    for start in range(0, len(rows), ROWS):
        columns = zip(*rows[start : start + ROWS], strict=True)
        await connection.execute(_INSERT, *(list(column) for column in columns))
    return len(rows) / (time.perf_counter() - started)
