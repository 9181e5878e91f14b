import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nexus_shared.envelope import Command
from nexus_shared.errors import Reject, StoreAway
from nexus_shared.messaging.subscribing import Subscribers

pytestmark = pytest.mark.integration


class Handler:
    """Writes down the ids of the commands it was given; `outcome` may raise."""

    def __init__(self, outcome: Callable[[str], Awaitable[None]] | None = None) -> None:
        self.outcome = outcome
        self.begun: list[str] = []
        self.done: list[str] = []

    async def __call__(self, command: Command, message: Any) -> None:
        self.begun.append(command.id)
        if self.outcome is not None:
            await self.outcome(command.id)
        self.done.append(command.id)

    async def reached(self, done: int = 0, begun: int = 0) -> None:
        async with asyncio.timeout(10):
            while len(self.done) < done or len(self.begun) < begun:
                await asyncio.sleep(0.01)


def a_command(id: str = "1", type: str = "test.do") -> str:
    return Command(id=id, source="trigger-processor", type=type, tenantid="clinica-sul").to_json().decode()


@asynccontextmanager
async def subscribed(
    url: str, queue: str, handlers: dict[str, Any], **settings: Any
) -> AsyncIterator[Subscribers]:
    subscribers = Subscribers(url, "test")
    subscribers.commands(queue, handlers, **settings)
    task = asyncio.create_task(subscribers.run())
    try:
        yield subscribers
    finally:
        await subscribers.stop()
        await asyncio.wait_for(task, 5)


@pytest.fixture
async def queues(broker: Any) -> tuple[str, str]:
    """A commands queue and where its dead letters go."""
    dead = await broker.queue()
    return await broker.queue(dead_letters=dead, delivery_limit=8), dead


async def test_a_command_goes_to_the_handler_of_its_type(broker: Any, queues: Any) -> None:
    one, two = Handler(), Handler()
    async with subscribed(broker.url, queues[0], {"test.one": one, "test.two": two}):
        await broker.put(queues[0], a_command("a", "test.one"), a_command("b", "test.two"))
        await one.reached(1)
        await two.reached(1)
    assert (one.done, two.done) == (["a"], ["b"])
    assert await broker.ready(queues[0]) == 0


OTHER_VERSION = a_command().replace('"1.0"', '"2"')


@pytest.mark.parametrize(
    "content", [a_command(type="test.unknown"), "not json", "[]", "{}", '{"id":1}', "\x00", OTHER_VERSION]
)
async def test_what_is_no_known_command_is_a_dead_letter_and_the_next_one_is_handled(
    content: str, broker: Any, queues: Any
) -> None:
    queue, dead = queues
    handler = Handler()
    async with subscribed(broker.url, queue, {"test.do": handler}):
        await broker.put(queue, content, a_command("good"))
        assert await broker.bodies(dead, 1) == [content]
        await handler.reached(1)
    assert handler.done == ["good"]


async def test_a_command_that_fails_is_tried_four_times_and_then_a_dead_letter(
    broker: Any, queues: Any, impatient: Any
) -> None:
    async def fail(id: str) -> None:
        raise ValueError("always")

    queue, dead = queues
    handler = Handler(fail)
    async with subscribed(broker.url, queue, {"test.do": handler}):
        await broker.put(queue, a_command())
        (message,) = await broker.taken(dead, 1)
    assert handler.begun == ["1"] * 4
    assert message.headers["x-death"][0]["reason"] == "rejected"


async def test_a_command_that_fails_once_is_done_without_a_dead_letter(
    broker: Any, queues: Any, impatient: Any
) -> None:
    async def fail_once(id: str) -> None:
        if len(handler.begun) == 1:
            raise ValueError("once")

    handler = Handler(fail_once)
    async with subscribed(broker.url, queues[0], {"test.do": handler}):
        await broker.put(queues[0], a_command())
        await handler.reached(1)
    assert handler.begun == ["1", "1"]
    assert await broker.ready(queues[1]) == 0


async def test_what_can_never_be_done_is_a_dead_letter_at_once(broker: Any, queues: Any) -> None:
    async def refuse(id: str) -> None:
        raise Reject("No such template")

    handler = Handler(refuse)
    async with subscribed(broker.url, queues[0], {"test.do": handler}):
        await broker.put(queues[0], a_command())
        await broker.taken(queues[1], 1)
    assert handler.begun == ["1"]


async def test_while_the_store_is_away_a_command_is_tried_for_as_long_as_it_takes(
    broker: Any, queues: Any
) -> None:
    async def away(id: str) -> None:
        if len(handler.begun) < 6:
            raise StoreAway

    handler = Handler(away)
    async with subscribed(broker.url, queues[0], {"test.do": handler}):
        await broker.put(queues[0], a_command())
        await handler.reached(1)
    assert len(handler.begun) == 6
    assert await broker.ready(queues[1]) == 0


async def test_stopping_finishes_what_is_in_hand_and_leaves_the_rest_uncounted(
    broker: Any, queues: Any
) -> None:
    may_end = asyncio.Event()

    async def wait(id: str) -> None:
        await may_end.wait()

    handler = Handler(wait)
    subscribers = Subscribers(broker.url, "test")
    subscribers.commands(queues[0], {"test.do": handler}, prefetch=3)
    task = asyncio.create_task(subscribers.run())
    await broker.put(queues[0], *(a_command(str(n)) for n in range(10)))
    await handler.reached(begun=3)
    stopping = asyncio.create_task(subscribers.stop())
    await asyncio.sleep(0.2)
    may_end.set()
    await asyncio.wait_for(stopping, 10)
    await asyncio.wait_for(task, 5)
    left = await broker.taken(queues[0], 7)
    assert len(handler.done) == 3
    assert [message.headers.get("x-delivery-count", 0) for message in left] == [0] * 7
    assert not any(message.redelivered for message in left)


async def test_subscribers_wait_for_a_broker_that_is_away_and_stop_when_told() -> None:
    subscribers = Subscribers("amqp://guest:guest@127.0.0.1:9/", "test")
    subscribers.commands("any", {})
    task = asyncio.create_task(subscribers.run())
    await asyncio.sleep(0.5)
    assert not task.done()
    await asyncio.wait_for(subscribers.stop(), 3)
    await asyncio.wait_for(task, 3)


async def test_subscribers_read_on_after_the_connection_was_lost(
    broker: Any, queues: Any, proxied: Any
) -> None:
    proxy, url = proxied
    handler = Handler()
    async with subscribed(url, queues[0], {"test.do": handler}):
        await broker.put(queues[0], a_command("before"))
        await handler.reached(1)
        proxy.reset()
        await broker.put(queues[0], a_command("after"))
        async with asyncio.timeout(15):
            while "after" not in handler.done:
                await asyncio.sleep(0.05)
