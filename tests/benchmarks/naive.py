"""`python -m benchmarks.naive ingest|e2e`: what one would write in an afternoon. The baseline, as a process.

Reads the settings of ingest from the environment; `e2e` also NAIVE_RECEIVER_URL.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import orjson
import uvloop
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from faststream.rabbit.annotations import RabbitMessage

from benchmarks.naive_store import INSERT
from benchmarks.triggers import condition_of
from nexus_shared import catalogue, wire
from nexus_shared.envelope import STRUCTURED, Event
from nexus_shared.topology import RECORD_QUEUE
from nexus_trigger_processor.domain.conditions import compile_condition
from nexus_trigger_processor.domain.fields import fields_for

PREFETCH = 100
POOL = 10

Handler = Callable[[Event], Awaitable[None]]


def validated(content: bytes, content_type: str) -> Event:
    """The same checks as at our door: strict JSON, envelope, and the data against the catalogue."""
    items, _ = wire.read(content, content_type, {})
    event = wire.envelope(items[0].value)
    kind = catalogue.find(event.type)
    if items[0].flaw is not None or kind is None or kind.problems(event.data, event.subject):
        raise ValueError("unfit event")
    return event


def recording(pool: asyncpg.Pool[asyncpg.Record]) -> Handler:
    async def record(event: Event) -> None:
        await pool.execute(
            INSERT,
            event.tenantid,
            event.source,
            event.id,
            event.type,
            event.subject,
            event.time,
            orjson.dumps(event.data).decode(),
        )

    return record


def reacting(record: Handler, client: httpx.AsyncClient, url: str) -> Handler:
    conditions = {
        type: compile_condition(condition_of(type), fields_for(type), "/conditions")
        for type in ("lead.created", "appointment.scheduled")
    }

    async def react(event: Event) -> None:
        await record(event)
        view = event.as_dict()
        if conditions[event.type].matches(view):
            headers = {"content-type": STRUCTURED, "webhook-id": event.id}
            answer = await client.post(url, content=orjson.dumps(view), headers=headers)
            answer.raise_for_status()

    return react


def subscribe(broker: RabbitBroker, handle: Handler) -> None:
    @broker.subscriber(
        RabbitQueue(RECORD_QUEUE, declare=False),
        channel=Channel(prefetch_count=PREFETCH),
        ack_policy=AckPolicy.REJECT_ON_ERROR,
        decoder=_as_it_came,
    )
    async def on_event(content: bytes, message: RabbitMessage) -> None:
        await handle(validated(content, message.content_type or ""))


async def _as_it_came(message: Any) -> Any:
    """Asynchronous, because FastStream sends a synchronous decoder to a thread for every message."""
    return message.body


async def main(kind: str) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    broker = RabbitBroker(os.environ["NEXUS_AMQP_URL"], logger=None)
    limits = httpx.Limits(max_connections=PREFETCH, max_keepalive_connections=PREFETCH)
    pool = asyncpg.create_pool(os.environ["NEXUS_DATABASE_URL"], min_size=POOL, max_size=POOL)
    async with pool, httpx.AsyncClient(limits=limits) as client:
        handle = recording(pool)
        if kind == "e2e":
            handle = reacting(handle, client, os.environ["NAIVE_RECEIVER_URL"])
        subscribe(broker, handle)
        await broker.start()
        await stopped.wait()
        await broker.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
