"""A history reader whose answers get lost: it notices, asks again, and hands every event over once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import orjson
import pytest

from nexus_shared import topology
from nexus_shared.ids import TenantId
from nexus_shared.messaging.history import HistoryReader, answer_headers
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.provision import Servers

pytestmark = pytest.mark.integration

LOG = [{"id": f"e-{position}", "sequence": str(position)} for position in range(1, 11)]


@pytest.fixture(scope="module")
def quiet_vhost(servers: Servers) -> Iterator[TestVhost]:
    """One in which no ingest runs."""
    made = TestVhost.make(servers)
    yield made
    made.drop()


@asynccontextmanager
async def an_ingest_that_loses(vhost: TestVhost, *lost: tuple[int, int]) -> AsyncIterator[list[int]]:
    """Answers as ingest does, in frames of two events, but `lost` frames (request, frame) never leave it."""
    connection = await aio_pika.connect(vhost.url_of("svc.ingest"))
    asked: list[int] = []

    async def answer(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        wanted = orjson.loads(message.body)["data"]
        asked.append(wanted["after"])
        found = [event for event in LOG if int(event["sequence"]) > wanted["after"]][: wanted["limit"]]
        prev = wanted["after"]
        for number, start in enumerate(range(0, len(found), 2)):
            events = found[start : start + 2]
            last = int(events[-1]["sequence"])
            if (len(asked), number) not in lost:
                is_end = start + 2 >= len(found)
                await channel.default_exchange.publish(
                    aio_pika.Message(
                        orjson.dumps(events),
                        headers=answer_headers(prev=prev, last=last, until=len(LOG), is_end=is_end),
                        correlation_id=message.correlation_id,
                        user_id="svc.ingest",
                    ),
                    message.reply_to or "",
                    mandatory=False,
                )
            prev = last
        await message.ack()

    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(topology.commands_of("ingest"), ensure=False)
        await queue.consume(answer)
        yield asked


@pytest.mark.parametrize(
    ("lost", "requests"),
    [
        ([], [0, 6]),
        ([(1, 0)], [0, 0, 6]),
        ([(1, 1)], [0, 2, 8]),
        ([(1, 2)], [0, 4]),
        ([(1, 2), (2, 0)], [0, 4, 4]),
        ([(2, 1)], [0, 6, 8]),
        ([(1, 0), (1, 1), (1, 2)], [0, 0, 6]),
    ],
)
async def test_every_event_is_read_once_whatever_gets_lost(
    quiet_vhost: TestVhost, lost: Any, requests: list[int]
) -> None:
    reader = HistoryReader(quiet_vhost.url_of("svc.trigger-processor"), answer_seconds=0.3, chunk_events=6)

    async with an_ingest_that_loses(quiet_vhost, *lost) as asked:
        read = [event async for chunk in reader.read(TenantId("clinica-sul")) for event in chunk]

    assert read == LOG
    assert asked == requests
