import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from nexus_shared.errors import Reject, RetryLater, StoreAway
from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.delivery import Delivery

pytestmark = pytest.mark.integration

Fault = Callable[[str], Exception | None]


class Ledger:
    """A handler that writes down what it committed; `fault` may refuse a message, `open` lets commits through."""

    def __init__(self, fault: Fault = lambda _: None, prepare_fault: Fault = lambda _: None) -> None:
        self.fault, self.prepare_fault = fault, prepare_fault
        self.batches: list[list[str]] = []
        self.tries: list[list[str]] = []
        self.deliveries: list[Delivery] = []
        self.open = asyncio.Event()
        self.open.set()

    @property
    def committed(self) -> list[str]:
        return [body for batch in self.batches for body in batch]

    async def prepare(self, batch: Sequence[Delivery]) -> list[Delivery]:
        for delivery in batch:
            if error := self.prepare_fault(delivery.body.decode()):
                raise error
        return list(batch)

    async def commit(self, prepared: list[Delivery]) -> None:
        bodies = [delivery.body.decode() for delivery in prepared]
        self.tries.append(bodies)
        await self.open.wait()
        for body in bodies:
            if error := self.fault(body):
                raise error
        self.batches.append(bodies)
        self.deliveries += prepared

    async def reached(self, count: int, *, tries: bool = False, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while (len(self.tries) if tries else len(self.committed)) < count:
                await asyncio.sleep(0.005)


def a_reader(
    url: str, queues: str | list[str], handler: Ledger, **settings: Any
) -> BatchReader[list[Delivery]]:
    queues = [queues] if isinstance(queues, str) else queues
    is_away = lambda error: isinstance(error, StoreAway)  # noqa: E731
    return BatchReader(url, queues, handler, name="test", is_away=is_away, **settings)


def numbered(count: int, start: int = 0) -> list[str]:
    return [str(number) for number in range(start, start + count)]


async def test_messages_are_handled_in_the_order_of_the_queue_in_growing_batches(
    broker: Any, running: Any
) -> None:
    queue, ledger = await broker.queue(), Ledger()
    await broker.put(queue, *numbered(300))
    async with running(a_reader(broker.url, queue, ledger, max_messages=50)):
        await ledger.reached(300)
    assert ledger.committed == numbered(300)
    assert max(map(len, ledger.batches)) <= 50
    assert len(ledger.batches) < 100
    assert await broker.ready(queue) == 0


async def test_a_batch_is_what_arrived_while_the_one_before_was_committed(broker: Any, running: Any) -> None:
    queue, ledger = await broker.queue(), Ledger()
    ledger.open.clear()
    async with running(a_reader(broker.url, queue, ledger)):
        await broker.put(queue, "0")
        await ledger.reached(1, tries=True)
        await broker.put(queue, *numbered(40, 1))
        await asyncio.sleep(0.1)
        ledger.open.set()
        await ledger.reached(41)
    assert ledger.batches[0] == ["0"]
    assert len(ledger.batches) <= 3
    assert ledger.committed == numbered(41)


async def test_a_batch_stops_growing_at_its_limit_of_bytes(broker: Any, running: Any) -> None:
    queue, ledger = await broker.queue(), Ledger()
    await broker.put(queue, *[f"{number:0>1000}" for number in range(20)])
    async with running(a_reader(broker.url, queue, ledger, max_bytes=2_500)):
        await ledger.reached(20)
    assert max(map(len, ledger.batches)) == 3


async def test_what_a_message_brought_reaches_the_handler(broker: Any, running: Any) -> None:
    queue, ledger = await broker.queue(), Ledger()
    await broker.put(queue, "hello", content_type="text/plain", headers={"lane": 7, "é": "ç"})
    async with running(a_reader(broker.url, queue, ledger)):
        await ledger.reached(1)
    delivery = ledger.deliveries[0]
    assert (delivery.body, delivery.key, delivery.content_type) == (b"hello", queue, "text/plain")
    assert (delivery.message_id, delivery.queue, delivery.redelivered) == ("hello", queue, False)
    assert delivery.headers == {"lane": 7, "é": "ç"}


async def test_several_queues_are_read_at_once_each_in_its_order(broker: Any, running: Any) -> None:
    one, two, ledger = await broker.queue(), await broker.queue(), Ledger()
    await asyncio.gather(broker.put(one, *numbered(100)), broker.put(two, *numbered(100, 100)))
    async with running(a_reader(broker.url, [one, two], ledger, max_messages=30)):
        await ledger.reached(200)
    for queue, start in ((one, 0), (two, 100)):
        bodies = [each.body.decode() for each in ledger.deliveries if each.queue == queue]
        assert bodies == numbered(100, start)


async def test_nothing_is_acknowledged_before_it_is_committed(broker: Any, running: Any) -> None:
    queue, ledger = await broker.queue(), Ledger()
    ledger.open.clear()
    await broker.put(queue, *numbered(10))
    reader = a_reader(broker.url, queue, ledger)
    task = asyncio.create_task(reader.run())
    await ledger.reached(1, tries=True)
    task.cancel()
    await asyncio.wait({task})
    again = Ledger()
    async with running(a_reader(broker.url, queue, again)):
        await again.reached(10)
    assert again.committed == numbered(10)
    assert all(
        delivery.redelivered
        for delivery in again.deliveries
        if delivery.body in map(str.encode, ledger.tries[0])
    )


async def test_an_error_that_passes_costs_three_more_tries_and_nothing_else(
    broker: Any, running: Any, impatient: Any
) -> None:
    faults = [ValueError(), KeyError(), ValueError()]
    queue, ledger = await broker.queue(), Ledger(lambda _: faults.pop() if faults else None)
    await broker.put(queue, "a")
    async with running(a_reader(broker.url, queue, ledger)):
        await ledger.reached(1)
    assert ledger.tries == [["a"]] * 4
    assert await broker.ready(queue) == 0


@pytest.mark.parametrize("stage", ["fault", "prepare_fault"])
async def test_only_the_poison_message_of_a_batch_becomes_a_dead_letter(
    stage: str, broker: Any, running: Any, impatient: Any
) -> None:
    dead = await broker.queue()
    queue = await broker.queue(dead_letters=dead)
    ledger = Ledger(**{stage: lambda body: ValueError("a patient's name") if body == "13" else None})
    await broker.put(queue, *numbered(30))
    async with running(a_reader(broker.url, queue, ledger)):
        await ledger.reached(29)
    assert ledger.committed == [body for body in numbered(30) if body != "13"]
    assert await broker.bodies(dead, 1) == ["13"]
    assert await broker.ready(queue) == 0


async def test_what_can_never_be_handled_is_a_dead_letter_without_further_tries(
    broker: Any, running: Any
) -> None:
    dead = await broker.queue()
    queue = await broker.queue(dead_letters=dead)
    ledger = Ledger(lambda body: Reject("No such template") if body == "b" else None)
    await broker.put(queue, "a", "b", "c")
    async with running(a_reader(broker.url, queue, ledger)):
        await ledger.reached(2)
        assert await broker.bodies(dead, 1) == ["b"]
    assert ledger.committed == ["a", "c"]
    assert ledger.tries.count(["b"]) == 1


@pytest.mark.parametrize("away", [StoreAway(), RetryLater("Overloaded", after=timedelta(milliseconds=20))])
async def test_while_something_is_away_the_batch_is_kept_for_as_long_as_it_takes(
    away: Exception, broker: Any, running: Any
) -> None:
    dead = await broker.queue()
    queue = await broker.queue(dead_letters=dead)
    left = [away] * 5
    ledger = Ledger(lambda _: left.pop() if left else None)
    async with running(a_reader(broker.url, queue, ledger)):
        await broker.put(queue, "a")
        await ledger.reached(6, tries=True, seconds=20)
        await broker.put(queue, "b")
        await ledger.reached(2)
    assert ledger.committed == ["a", "b"]
    assert await broker.ready(dead) == 0


async def test_stopping_finishes_the_batch_in_hand_and_gives_the_rest_back_in_order(
    broker: Any, running: Any
) -> None:
    queue, ledger = await broker.queue(), Ledger()
    await broker.put(queue, *numbered(40))
    ledger.open.clear()
    reader = a_reader(broker.url, queue, ledger, max_messages=10)
    task = asyncio.create_task(reader.run())
    await ledger.reached(1, tries=True)
    await reader.stop()
    ledger.open.set()
    await asyncio.wait_for(task, 5)
    again = Ledger()
    async with running(a_reader(broker.url, queue, again)):
        await again.reached(40 - len(ledger.committed))
    assert 0 < len(ledger.committed) <= 20
    assert ledger.committed + again.committed == numbered(40)


async def test_stopping_while_the_store_is_away_is_quick_and_loses_nothing(broker: Any, running: Any) -> None:
    queue, ledger = await broker.queue(), Ledger(lambda _: StoreAway())
    await broker.put(queue, *numbered(5))
    async with running(a_reader(broker.url, queue, ledger)):
        await ledger.reached(4, tries=True)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1
    again = Ledger()
    async with running(a_reader(broker.url, queue, again)):
        await again.reached(5)
    assert again.committed == numbered(5)


async def test_a_second_reader_takes_over_where_the_first_one_stopped(broker: Any, running: Any) -> None:
    queue = await broker.queue(single_active_consumer=True)
    first, second = Ledger(), Ledger()
    one = a_reader(broker.url, queue, first, max_messages=7)
    one_task = asyncio.create_task(one.run())
    await broker.put(queue, *numbered(200))
    await first.reached(1)
    async with running(a_reader(broker.url, queue, second, max_messages=7)):
        await first.reached(50)
        assert second.committed == []
        await one.stop()
        await asyncio.wait_for(one_task, 5)
        await broker.put(queue, *numbered(100, 200))
        await second.reached(300 - len(first.committed))
    assert first.committed + second.committed == numbered(300)
