"""A broker that confirms messages and loses them: what the design says it may do, and survive."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractQueue

from nexus_shared.messaging.connection import BROKER_AWAY
from nexus_shared.topology import LANES, LOG, lane_key, log_queue

READER = "trigger-processor"


@dataclass
class Lost:
    """What was confirmed to ingest and never delivered. Beacons have no events."""

    frames: int = 0
    events: int = 0


@asynccontextmanager
async def losing_frames(amqp_url: str, lanes: Iterable[int]) -> AsyncIterator[Lost]:
    """While this lasts, frames on `lanes` are confirmed and go nowhere. `amqp_url` is the administrator's.

    The lanes' keys lead to a queue of ours instead; what arrived there is counted at the end.
    """
    lost, lanes = Lost(), list(lanes)
    async with await aio_pika.connect(amqp_url, timeout=10) as connection:
        channel = await connection.channel()
        hole = await channel.declare_queue(f"hole-{secrets.token_hex(4)}", exclusive=True)
        try:
            for lane in lanes:
                await hole.bind(LOG, lane_key(lane))
                await (await _queue(channel, lane)).unbind(LOG, lane_key(lane))
            yield lost
        finally:
            await _to_the_end(_mend(amqp_url, lanes))
            async for events in _frames_in(hole):
                lost.frames += bool(events)
                lost.events += events


async def _mend(amqp_url: str, lanes: Iterable[int]) -> None:
    """Binds the lanes again, however long the broker is away: nothing else would."""
    while True:
        try:
            async with await aio_pika.connect(amqp_url, timeout=10) as connection:
                channel = await connection.channel()
                for lane in lanes:
                    await (await _queue(channel, lane)).bind(LOG, lane_key(lane))
        except BROKER_AWAY:
            await asyncio.sleep(0.3)
        else:
            return


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Also when we are cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _frames_in(hole: AbstractQueue) -> AsyncIterator[int]:
    """How many events each frame has that arrived there."""
    while (message := await hole.get(no_ack=True, fail=False)) is not None:
        yield len(json.loads(message.body))


async def purge(amqp_url: str, lanes: Iterable[int] = range(LANES)) -> int:
    """Throws away what waits in these lanes' queues; how many messages that were."""
    async with await aio_pika.connect(amqp_url, timeout=10) as connection:
        channel = await connection.channel()
        purged = 0
        for lane in lanes:
            purged += (await (await _queue(channel, lane)).purge()).message_count or 0
        return purged


async def _queue(channel: AbstractChannel, lane: int) -> AbstractQueue:
    return await channel.get_queue(log_queue(READER, lane), ensure=False)
