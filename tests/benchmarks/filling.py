"""Putting events into the inbound queue, as publishers would."""

from __future__ import annotations

import time
from collections.abc import Sequence

import aio_pika

from benchmarks.processes import MeasurementInvalid, until
from benchmarks.stage import Place
from nexus_shared.messaging.publisher import Outgoing, Publisher
from nexus_shared.topology import RECORD_QUEUE

AT_ONCE = 1_000


async def fill(place: Place, messages: Sequence[Outgoing]) -> float:
    """Publishes all, confirmed, and returns when they wait in the queue; messages per second of our publisher.

    The publisher is the broker's administrator, since one user of one tenant could not speak for 200; ingest treats it
    as it treats any publisher: by the tenant in the routing key.
    """
    started = time.perf_counter()
    await publish(place, messages)
    took = time.perf_counter() - started
    await _wait_for(place, len(messages))
    await place.settle()
    return len(messages) / took


async def publish(place: Place, messages: Sequence[Outgoing]) -> None:
    publisher = Publisher(place.vhost.url, "benchmark", timeout=60)
    try:
        for start in range(0, len(messages), AT_ONCE):
            await publisher.publish(messages[start : start + AT_ONCE])
    finally:
        await publisher.close()


async def _wait_for(place: Place, messages: int) -> None:
    connection = await aio_pika.connect(place.vhost.url)
    async with connection, connection.channel() as channel:

        async def is_full() -> bool:
            queue = await channel.declare_queue(RECORD_QUEUE, passive=True)
            waiting = queue.declaration_result.message_count or 0
            if waiting > messages:
                raise MeasurementInvalid(f"{waiting} messages wait, {messages} were published")
            return waiting == messages

        await until(is_full, 30, f"{messages} messages in {RECORD_QUEUE}", every=0.2)
