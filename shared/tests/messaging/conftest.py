"""Queues of a test's own on the session's broker, and ways to look into them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.faultproxy import FaultProxy


class Broker:
    """The administrator's view of one vhost."""

    def __init__(self, vhost: TestVhost, connection: aio_pika.abc.AbstractConnection) -> None:
        self.vhost, self.url = vhost, vhost.url
        self._connection = connection
        self.channel: AbstractChannel

    async def open(self) -> None:
        self.channel = await self._connection.channel(on_return_raises=True)

    async def queue(self, name: str | None = None, **arguments: Any) -> str:
        """A quorum queue; `dead_letters="name"` and other arguments of a queue as keywords."""
        name = name or f"test.{secrets.token_hex(4)}"
        if "dead_letters" in arguments:
            arguments |= {
                "dead-letter-exchange": "",
                "dead-letter-routing-key": arguments.pop("dead_letters"),
            }
        extra = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
        await self.channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum", **extra})
        return name

    async def put(self, queue: str, *bodies: str, **properties: Any) -> None:
        await asyncio.gather(
            *(
                self.channel.default_exchange.publish(
                    aio_pika.Message(body.encode(), delivery_mode=2, message_id=body[-9:], **properties),
                    queue,
                )
                for body in bodies
            )
        )

    async def taken(self, queue: str, count: int, *, seconds: float = 5) -> list[AbstractIncomingMessage]:
        """Takes `count` messages out of a queue, waiting for them, and makes sure that no more come."""
        found = []
        async with asyncio.timeout(seconds):
            while len(found) < count:
                message = await (await self.channel.get_queue(queue, ensure=False)).get(fail=False)
                if message is None:
                    await asyncio.sleep(0.02)
                    continue
                await message.ack()
                found.append(message)
        assert await (await self.channel.get_queue(queue, ensure=False)).get(fail=False) is None
        return found

    async def bodies(self, queue: str, count: int) -> list[str]:
        return [message.body.decode() for message in await self.taken(queue, count)]

    async def emptied(self, queue: str, *, seconds: float = 5) -> None:
        """Waits until no message is ready in the queue."""
        async with asyncio.timeout(seconds):
            while await self.ready(queue):
                await asyncio.sleep(0.02)

    async def ready(self, queue: str) -> int:
        declared = await self.channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0

    async def drop(self, queue: str) -> None:
        await self.channel.queue_delete(queue)


@pytest.fixture
async def broker(vhost: TestVhost) -> AsyncIterator[Broker]:
    async with await aio_pika.connect(vhost.url) as connection:
        broker = Broker(vhost, connection)
        await broker.open()
        yield broker


@asynccontextmanager
async def _running(*readers: BatchReader[Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    try:
        async with asyncio.timeout(10):
            while not all(reader.is_connected for reader in readers):
                await asyncio.sleep(0.01)
        yield
    finally:
        for reader in readers:
            await reader.stop()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)


@pytest.fixture
def running() -> Any:
    """`async with running(reader):` until it has stopped cleanly."""
    return _running


@pytest.fixture
async def proxied(vhost: TestVhost) -> AsyncIterator[tuple[FaultProxy, str]]:
    """A misbehaving way to the broker, and the administrator's address behind it."""
    host, _, port = vhost.url.partition("@")[2].partition("/")[0].partition(":")
    async with FaultProxy(host, int(port)) as proxy:
        yield proxy, vhost.url.replace(f":{port}/", f":{proxy.port}/")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Sequence[float]:
    """The waits between tries, made short."""
    waits = (0.01, 0.02, 0.03)
    for module in ("batch_reader", "subscribing"):
        monkeypatch.setattr(f"nexus_shared.messaging.{module}.RETRIES_SECONDS", waits)
    return waits
