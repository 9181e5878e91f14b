import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from nexus_shared.messaging.publisher import Outgoing, Publisher, PublishUnconfirmed, Unroutable
from nexus_shared.testing.provision import Servers

pytestmark = pytest.mark.integration


def to(queue: str, body: str, **settings: Any) -> Outgoing:
    return Outgoing("", queue, body.encode(), message_id=body[:9], **settings)


@pytest.fixture
async def publisher(broker: Any) -> AsyncIterator[Publisher]:
    publisher = Publisher(broker.url, "test", timeout=5)
    yield publisher
    await publisher.close()


async def test_when_publish_returns_everything_is_in_the_queue_in_order(
    broker: Any, publisher: Publisher
) -> None:
    queue = await broker.queue()
    await publisher.publish([to(queue, str(number)) for number in range(500)])
    assert await broker.bodies(queue, 500) == [str(number) for number in range(500)]


async def test_a_message_is_persistent_and_says_who_sent_it(broker: Any, publisher: Publisher) -> None:
    queue = await broker.queue()
    wide = {"lane": 7, "prev": 2**33 + 5, "last": 2**62}
    await publisher.publish(
        [to(queue, "a", content_type="text/plain", headers=wide, reply_to="there", correlation_id="c")]
    )
    (message,) = await broker.taken(queue, 1)
    assert (message.delivery_mode, message.message_id, message.content_type) == (2, "a", "text/plain")
    assert (message.reply_to, message.correlation_id) == ("there", "c")
    assert wide.items() <= message.headers.items()
    assert message.user_id == "nexus-admin"


async def test_an_id_too_long_for_amqp_does_not_keep_its_message_back(
    broker: Any, publisher: Publisher
) -> None:
    queue = await broker.queue()
    ids = ["é" * 200, "ü" * 200, "x" * 255]
    await publisher.publish([Outgoing("", queue, b"x", message_id=id) for id in ids])
    sent = [message.message_id for message in await broker.taken(queue, 3)]
    assert sent[2] == ids[2]
    assert len({*sent}) == 3


async def test_nothing_to_publish_is_no_reason_to_connect() -> None:
    publisher = Publisher("amqp://guest:guest@127.0.0.1:9/", "test", timeout=0.1)
    await publisher.publish([])


async def test_a_message_that_no_queue_takes_is_told_and_the_others_arrive(
    broker: Any, publisher: Publisher
) -> None:
    queue = await broker.queue()
    with pytest.raises(Unroutable, match="NO_ROUTE"):
        await publisher.publish([to(queue, "a"), to("test.nowhere", "b"), to(queue, "c")])
    await publisher.publish([to(queue, "d"), to("test.nowhere", "e", mandatory=False)])
    assert await broker.bodies(queue, 3) == ["a", "c", "d"]


async def test_one_callers_mistake_does_not_hurt_another_on_the_same_connection(
    broker: Any, publisher: Publisher
) -> None:
    queue = await broker.queue()
    results = await asyncio.gather(
        publisher.publish([to(queue, str(number)) for number in range(300)]),
        publisher.publish([to("test.nowhere", "x")]),
        publisher.publish([to(queue, str(number)) for number in range(300, 600)]),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == ["NoneType", "Unroutable", "NoneType"]
    assert len(await broker.bodies(queue, 600)) == 600


async def test_a_full_queue_refuses_and_takes_again_when_there_is_room(
    broker: Any, publisher: Publisher
) -> None:
    queue = await broker.queue(max_length=3, overflow="reject-publish")
    with pytest.raises(PublishUnconfirmed):
        for number in range(50):
            await publisher.publish([to(queue, str(number))])
    await broker.channel.queue_delete(queue)
    await broker.queue(queue)
    await publisher.publish([to(queue, "again")])
    assert await broker.bodies(queue, 1) == ["again"]


async def test_a_missing_exchange_is_an_error_once_and_the_publisher_goes_on(
    broker: Any, publisher: Publisher
) -> None:
    queue = await broker.queue()
    with pytest.raises(PublishUnconfirmed):
        await publisher.publish([Outgoing("test.no-exchange", "x", b"x", message_id="1")])
    await publisher.publish([to(queue, "a")])
    assert await broker.bodies(queue, 1) == ["a"]


async def test_without_a_confirm_in_time_a_fresh_channel_publishes_the_same_again(
    broker: Any, proxied: Any
) -> None:
    proxy, url = proxied
    queue = await broker.queue()
    publisher = Publisher(url, "test", timeout=0.4)
    await publisher.publish([to(queue, "before")])
    proxy.half_open("server to client")
    with pytest.raises(PublishUnconfirmed):
        await publisher.publish([to(queue, "a"), to(queue, "b")])
    proxy.heal()
    await publisher.publish([to(queue, "a"), to(queue, "b")])
    assert await broker.bodies(queue, 5) == ["before", "a", "b", "a", "b"]
    await publisher.close()


async def test_callers_that_lose_the_connection_together_are_all_told_and_find_a_new_one(
    broker: Any, proxied: Any
) -> None:
    proxy, url = proxied
    queue = await broker.queue()
    publisher = Publisher(url, "test", timeout=2)
    await publisher.publish([to(queue, "0")])
    proxy.half_open("server to client")
    calls = [asyncio.create_task(publisher.publish([to(queue, str(number))])) for number in range(1, 6)]
    await asyncio.sleep(0.1)
    proxy.heal()
    proxy.reset()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {PublishUnconfirmed}
    await asyncio.gather(*(publisher.publish([to(queue, str(number))]) for number in range(1, 6)))
    assert set(await broker.bodies(queue, 11)) == set("012345")
    await publisher.close()


async def test_a_caller_that_is_cancelled_stays_cancelled(broker: Any, proxied: Any) -> None:
    proxy, url = proxied
    queue = await broker.queue()
    publisher = Publisher(url, "test")
    await publisher.publish([to(queue, "0")])
    proxy.half_open("server to client")
    call = asyncio.create_task(publisher.publish([to(queue, "1")]))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    proxy.heal()
    await publisher.publish([to(queue, "2")])
    await publisher.close()


async def test_without_a_broker_publishing_fails_in_time_and_readiness_says_no() -> None:
    publisher = Publisher("amqp://guest:guest@127.0.0.1:9/", "test", timeout=0.5)
    with pytest.raises(PublishUnconfirmed):
        await publisher.publish([to("any", "a")])
    assert not await publisher.is_connected()


async def test_after_the_broker_was_killed_and_started_again_publishing_goes_on(
    servers: Servers, broker: Any
) -> None:
    if servers.private is None:
        pytest.skip("The broker is not ours to kill.")
    queue = await broker.queue()
    publisher = Publisher(broker.url, "test", timeout=2)
    await publisher.publish([to(queue, "before")])
    await asyncio.sleep(1)  # RabbitMQ writes down within a second that a quorum queue exists, not at once
    servers.private.kill_rabbitmq()
    with pytest.raises(PublishUnconfirmed):
        await publisher.publish([to(queue, "lost")])
    await asyncio.to_thread(servers.private.start_rabbitmq)
    await _until_confirmed(publisher, to(queue, "after"))
    await publisher.close()
    async with await aio_pika.connect(broker.url) as connection:
        queue_again = await (await connection.channel()).get_queue(queue, ensure=False)
        assert (await queue_again.get(no_ack=True)).body == b"before"
        assert (await queue_again.get(no_ack=True)).body == b"after"


async def _until_confirmed(publisher: Publisher, message: Outgoing) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await publisher.publish([message])
            except PublishUnconfirmed:
                await asyncio.sleep(0.1)
