"""While the broker refuses or is away, tries to publish leave none of their messages behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from nexus_shared.messaging.connection import without_frames
from nexus_shared.messaging.publisher import Outgoing, Publisher, PublishUnconfirmed, Unroutable
from nexus_shared.testing.faultproxy import FaultProxy

pytestmark = pytest.mark.integration


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Services collect cycles rarely, so nothing may depend on it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def nothing_is_left() -> None:
    """Returns when no message exists any more; callbacks of the last try may still be on their way."""
    async with asyncio.timeout(3):
        while any(isinstance(thing, Outgoing) for thing in gc.get_objects()):
            await asyncio.sleep(0.05)


def messages(count: int = 50) -> list[Outgoing]:
    return [Outgoing("", "test.nowhere", b"x", message_id=str(number)) for number in range(count)]


async def test_refused_messages_are_let_go(broker: Any, no_collector: None) -> None:
    publisher = Publisher(broker.url, "test", timeout=5)
    for _ in range(3):
        with pytest.raises(Unroutable):
            await publisher.publish(messages())

    await nothing_is_left()
    await publisher.close()


async def test_messages_for_a_broker_that_is_away_are_let_go(broker: Any, no_collector: None) -> None:
    host, port = broker.url.rpartition("@")[2].partition("/")[0].split(":")
    async with FaultProxy(host, int(port)) as proxy:
        publisher = Publisher(broker.url.replace(f":{port}/", f":{proxy.port}/"), "test", timeout=5)
        proxy.cut()
        for _ in range(3):
            with pytest.raises(PublishUnconfirmed):
                await publisher.publish(messages())

    await nothing_is_left()
    await publisher.close()


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one

    assert without_frames(one) is one
