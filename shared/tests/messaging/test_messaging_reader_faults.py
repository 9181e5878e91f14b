import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from nexus_shared.messaging import delivery, inbox
from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.delivery import Delivery

pytestmark = pytest.mark.integration


class Slow:
    """A handler whose commits wait until they may go on."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self.begun: list[str] = []
        self.may_commit = asyncio.Event()

    async def prepare(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        return batch

    async def commit(self, prepared: Sequence[Delivery]) -> None:
        bodies = [delivery.body.decode() for delivery in prepared]
        self.begun += bodies
        await self.may_commit.wait()
        self.committed += bodies

    async def reached(self, last: str) -> None:
        async with asyncio.timeout(10):
            while last not in self.committed:
                await asyncio.sleep(0.01)

    async def has_begun(self) -> None:
        async with asyncio.timeout(10):
            while not self.begun:
                await asyncio.sleep(0.01)


def a_reader(url: str, queue: str, handler: Slow) -> BatchReader[Sequence[Delivery]]:
    return BatchReader(url, [queue], handler, name="test", is_away=lambda _: False, max_messages=4)


def numbered(start: int, stop: int) -> list[str]:
    return [str(number) for number in range(start, stop)]


async def test_what_was_in_hand_when_the_connection_was_lost_is_handled_again_and_nothing_is_skipped(
    broker: Any, running: Any, proxied: Any
) -> None:
    proxy, url = proxied
    queue, handler = await broker.queue(), Slow()
    await broker.put(queue, *numbered(0, 20))
    async with running(a_reader(url, queue, handler)):
        await handler.has_begun()
        proxy.reset()
        handler.may_commit.set()
        await handler.reached("19")
        await broker.put(queue, "20")
        await handler.reached("20")
    in_hand = len(handler.begun) - 21
    assert in_hand > 0
    again = handler.committed[in_hand:]
    assert handler.committed[:in_hand] == again[:in_hand]
    assert again == numbered(0, 21)
    assert await broker.ready(queue) == 0


async def test_a_reader_comes_back_quickly_however_often_it_lost_the_broker(
    broker: Any, running: Any, proxied: Any
) -> None:
    proxy, url = proxied
    queue, handler = await broker.queue(), Slow()
    handler.may_commit.set()
    async with running(a_reader(url, queue, handler)):
        for number in range(8):
            await broker.put(queue, str(number))
            await handler.reached(str(number))
            proxy.reset()
        began = asyncio.get_running_loop().time()
        await broker.put(queue, "last")
        await handler.reached("last")
        assert asyncio.get_running_loop().time() - began < 1.5


async def test_a_network_that_falls_silent_is_noticed_and_what_it_held_back_does_no_harm(
    broker: Any, running: Any, proxied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network holds back what the broker sends, for longer than the heartbeat, and then lets it through."""
    monkeypatch.setattr("nexus_shared.messaging.connection.HEARTBEAT_SECONDS", 1)
    proxy, url = proxied
    queue, handler = await broker.queue(single_active_consumer=True), Slow()
    reader = a_reader(url, queue, handler)
    async with running(reader):
        proxy.blackhole()
        await broker.put(queue, *numbered(0, 12))
        async with asyncio.timeout(20):
            while reader.is_connected:
                await asyncio.sleep(0.05)
        proxy.heal()
        await handler.has_begun()
        await asyncio.sleep(0.3)
        handler.may_commit.set()
        await handler.reached("11")
    assert sorted(set(handler.committed), key=int) == numbered(0, 12)
    assert await broker.ready(queue) == 0


async def test_large_messages_wait_at_the_broker_and_not_in_memory(
    broker: Any, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_BYTES", 2 * 2**20)
    arrived: list[int] = []

    def counted(message: Any, queue: str) -> Delivery:
        arrived.append(len(message.body))
        return delivery.from_aiormq(message, queue)

    monkeypatch.setattr(inbox, "from_aiormq", counted)
    queue, handler = await broker.queue(), Slow()
    await broker.put(queue, *(f"{number:0>250000}" for number in range(100)))
    reader = BatchReader(
        broker.url, [queue], handler, name="test", is_away=lambda _: False, max_bytes=500_000
    )
    async with running(reader):
        await handler.has_begun()
        await asyncio.sleep(0.5)
        assert sum(arrived) < 6 * 2**20, "the rest of the 25 MB waits at the broker"
        handler.may_commit.set()
        await handler.reached(f"{99:0>250000}")
    assert [int(body[-5:]) for body in handler.committed] == list(range(100))


async def test_a_reader_full_of_large_messages_stops_quickly(
    broker: Any, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_BYTES", 2**20)
    queue, handler = await broker.queue(), Slow()
    await broker.put(queue, *(f"{number:0>250000}" for number in range(60)))
    reader = BatchReader(
        broker.url, [queue], handler, name="test", is_away=lambda _: False, max_bytes=500_000
    )
    async with running(reader):
        await handler.has_begun()
        await asyncio.sleep(0.3)
        handler.may_commit.set()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1.5
    again = Slow()
    again.may_commit.set()
    async with running(a_reader(broker.url, queue, again)):
        await again.reached(f"{59:0>250000}")
    assert [int(body[-5:]) for body in handler.committed + again.committed] == list(range(60))


async def test_a_reader_whose_queue_was_deleted_reads_on_when_there_is_one_again(
    broker: Any, running: Any
) -> None:
    queue, handler = await broker.queue(), Slow()
    handler.may_commit.set()
    async with running(a_reader(broker.url, queue, handler)):
        await broker.drop(queue)
        await asyncio.sleep(0.1)
        await broker.queue(queue)
        await broker.put(queue, "after")
        await handler.reached("after")


async def test_a_reader_waits_for_a_queue_that_is_not_there_yet(broker: Any) -> None:
    handler = Slow()
    handler.may_commit.set()
    reader = a_reader(broker.url, "test.not-there-yet", handler)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0.3)
    await broker.queue("test.not-there-yet")
    await broker.put("test.not-there-yet", "first")
    await handler.reached("first")
    await reader.stop()
    await asyncio.wait_for(task, 5)


async def test_a_reader_without_a_broker_stops_when_told() -> None:
    reader = a_reader("amqp://guest:guest@127.0.0.1:9/", "any", Slow())
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0.3)
    await reader.stop()
    await asyncio.wait_for(task, 1)
    assert not reader.is_connected
