"""A broker with one publisher of clinica-sul, and what ingest would find in its queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import orjson
import pytest

from nexus_shared import topology
from nexus_shared.client import NexusPublisher
from nexus_shared.ids import TenantId
from nexus_shared.testing.brokers import TestVhost

CRM = topology.ClientUser("pub", TenantId("clinica-sul"), "crm", "crm-password")


@dataclass
class Inbox:
    """The platform's side of the broker."""

    vhost: TestVhost

    @property
    def crm_url(self) -> str:
        return self.vhost.url_of(CRM.user)

    def publisher(
        self, spool_dir: Path | None = None, *, url: str | None = None, **settings: Any
    ) -> NexusPublisher:
        return NexusPublisher(url or self.crm_url, "clinica-sul", "crm", spool_dir, **settings)

    async def messages(self, *, quiet_seconds: float = 0.5) -> list[aio_pika.abc.AbstractIncomingMessage]:
        """Everything in ingest's queue, taken out; waits until nothing came for a while."""
        connection = await aio_pika.connect(self.vhost.url)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=5000)
            queue = await channel.get_queue(topology.RECORD_QUEUE)
            arrived: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage] = asyncio.Queue()
            await queue.consume(arrived.put)
            found = []
            while True:
                try:
                    found.append(await asyncio.wait_for(arrived.get(), quiet_seconds))
                except TimeoutError:
                    break
            if found:
                await found[-1].ack(multiple=True)
            return found

    async def events(self, *, quiet_seconds: float = 0.5) -> list[dict[str, Any]]:
        """All events of all messages, duplicates included, in order."""
        found: list[dict[str, Any]] = []
        for message in await self.messages(quiet_seconds=quiet_seconds):
            content = orjson.loads(message.body)
            found += content if isinstance(content, list) else [content]
        return found

    async def ids(self, *, quiet_seconds: float = 0.5) -> list[str]:
        return [event["id"] for event in await self.events(quiet_seconds=quiet_seconds)]


# The broker keeps the register of its quorum queues in memory for seconds before it is on disk. A kill -9 within that
# time brings the queue declared last back without its content and without a leader.
REGISTER_ON_DISK = "dets:sync(maps:get(directory_rev, maps:get(names, ra_system:fetch(quorum_queues))))."


@pytest.fixture(scope="session")
def _crm_vhost(servers: Any) -> Iterator[TestVhost]:
    made = TestVhost.make(servers, [CRM])
    if servers.private is not None:
        servers.private.rabbitmqctl("eval", REGISTER_ON_DISK)
    yield made
    made.drop()


@pytest.fixture
async def inbox(_crm_vhost: TestVhost) -> Inbox:
    """Emptied before each test."""
    inbox = Inbox(_crm_vhost)
    connection = await aio_pika.connect(inbox.vhost.url)
    async with connection:
        channel = await connection.channel()
        await (await channel.get_queue(topology.RECORD_QUEUE)).purge()
    return inbox
