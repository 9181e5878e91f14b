import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nexus_shared.client import NexusPublisher, NotConfirmed
from nexus_shared.envelope import Event
from nexus_shared.testing.builders import a_lead_created
from nexus_shared.testing.faultproxy import Direction, FaultProxy

pytestmark = [pytest.mark.integration, pytest.mark.faults]

FAST = {"confirm_timeout": 1.0, "patience": 90.0}
CHILD = Path(__file__).with_name("publish_until_killed.py")


@pytest.fixture
def broker(servers: Any) -> Iterator[Any]:
    """The broker, when it is ours to kill; running again after the test."""
    if servers.private is None:
        pytest.skip("These servers are not ours to kill: unset NEXUS_TEST_AMQP_URL to run this test.")
    yield servers.private
    servers.private.start_rabbitmq()


@asynccontextmanager
async def proxied(inbox: Any) -> AsyncIterator[tuple[FaultProxy, str]]:
    """A proxy before the broker, and the CRM's address through it."""
    parts = urlsplit(inbox.crm_url)
    async with FaultProxy("127.0.0.1", parts.port) as proxy:
        yield proxy, inbox.crm_url.replace(f":{parts.port}/", f":{proxy.port}/")


def all_there(arrived: Iterable[str], expected: Iterable[str]) -> bool:
    """None missing, none unknown; duplicates are allowed. Firsts in order."""
    return list(dict.fromkeys(arrived)) == list(expected)


async def test_two_thousand_publishes_survive_a_broker_that_is_killed_in_their_midst(
    inbox: Any, broker: Any, tmp_path: Path
) -> None:
    events = [a_lead_created(number=number) for number in range(2000)]
    confirmed = 0

    async def publish(event: Event) -> None:
        nonlocal confirmed
        await publisher.publish(event)
        confirmed += 1

    async with inbox.publisher(tmp_path, **FAST) as publisher:
        publishes = [asyncio.create_task(publish(event)) for event in events]
        while confirmed < 300:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(broker.kill_rabbitmq)
        assert confirmed < 2000, "the broker must die while publishes are under way"
        await asyncio.sleep(1)
        await asyncio.to_thread(broker.start_rabbitmq)
        await asyncio.gather(*publishes)
    assert all_there(await inbox.ids(quiet_seconds=2), [event.id for event in events])


async def test_batches_survive_a_broker_that_restarts(inbox: Any, broker: Any) -> None:
    events = [a_lead_created(number=number) for number in range(6000)]
    async with inbox.publisher(**FAST) as publisher:
        await publisher.publish(a_lead_created(number=9999))
        publishing = asyncio.create_task(publisher.publish_many(events))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(broker.stop_rabbitmq)
        assert not publishing.done()
        await asyncio.to_thread(broker.start_rabbitmq)
        await publishing
    expected = [a_lead_created(number=9999).id, *(event.id for event in events)]
    assert all_there(await inbox.ids(quiet_seconds=2), expected)


async def test_a_broker_that_freezes_is_left_and_everything_is_sent_again(inbox: Any, broker: Any) -> None:
    event = a_lead_created()
    async with inbox.publisher(**FAST) as publisher:
        await publisher.publish(a_lead_created(number=0))
        broker.freeze_rabbitmq()
        publishing = asyncio.create_task(publisher.publish(event))
        await asyncio.sleep(3)
        assert not publishing.done()
        broker.thaw_rabbitmq()
        await publishing
    assert all_there(await inbox.ids(), [a_lead_created(number=0).id, event.id])


async def test_lost_confirms_mean_sent_again_with_the_same_ids(inbox: Any, tmp_path: Path) -> None:
    events = [a_lead_created(number=number) for number in range(20)]
    async with proxied(inbox) as (proxy, url), inbox.publisher(tmp_path, url=url, **FAST) as publisher:
        await publisher.publish(events[0])
        proxy.half_open(Direction.DOWN)
        publishing = asyncio.gather(*(publisher.publish(event) for event in events[1:]))
        await asyncio.sleep(1.5)
        assert publisher.unconfirmed == 19
        proxy.heal()
        await publishing
    arrived = await inbox.ids()
    assert all_there(arrived, [event.id for event in events])
    assert max(Counter(arrived).values()) > 1, "the first sending had arrived although it was never confirmed"


async def test_connections_that_are_cut_again_and_again_lose_nothing_and_keep_the_order(inbox: Any) -> None:
    events = [a_lead_created(number=number) for number in range(800)]
    async with proxied(inbox) as (proxy, url), inbox.publisher(url=url, **FAST) as publisher:
        publishes = [asyncio.create_task(publisher.publish(event)) for event in events]
        for _ in range(5):
            await asyncio.sleep(0.1)
            proxy.reset()
        proxy.latency(0.002, jitter=0.002)
        await asyncio.gather(*publishes)
    assert all_there(await inbox.ids(), [event.id for event in events])


async def test_a_full_queue_makes_the_publisher_wait_and_loses_nothing(inbox: Any, broker: Any) -> None:
    events = [a_lead_created(number=number) for number in range(1500)]
    tiny = ("tiny", "^ingest\\.record$", '{"max-length":5,"overflow":"reject-publish"}')
    broker.rabbitmqctl("set_policy", "-p", inbox.vhost.name, "--priority", "20", *tiny)
    try:
        async with inbox.publisher(**FAST) as publisher:
            await publisher.publish(events[0])
            publishing = asyncio.gather(*(publisher.publish(event) for event in events[1:]))
            await asyncio.sleep(1)
            assert publisher.unconfirmed > 0
            arrived: list[str] = []
            async with asyncio.timeout(60):
                while not publishing.done():
                    arrived += await inbox.ids(quiet_seconds=0.2)
            await publishing
        arrived += await inbox.ids()
    finally:
        broker.rabbitmqctl("clear_policy", "-p", inbox.vhost.name, "tiny")
    assert set(arrived) == {event.id for event in events}


async def test_a_process_killed_before_its_confirms_sends_again_at_the_next_start(
    inbox: Any, tmp_path: Path
) -> None:
    async with proxied(inbox) as (proxy, url):
        child = await a_child(url, tmp_path, warm_up=1)
        assert await told(child, 1) == ["event-0"]
        proxy.half_open(Direction.DOWN)
        kept = await told(child, 50)
        await ended(child)
    async with inbox.publisher(tmp_path):
        pass
    arrived = await inbox.ids()
    assert all_there([each for each in arrived if each in kept], kept)
    assert max(Counter(arrived).values()) > 1, "some had arrived before the kill"


@pytest.mark.parametrize("after", [30, 400, 1200])
async def test_whatever_was_taken_before_a_kill_arrives(inbox: Any, tmp_path: Path, after: int) -> None:
    child = await a_child(inbox.crm_url, tmp_path)
    taken = await told(child, after)
    taken += await ended(child)
    async with inbox.publisher(tmp_path):
        pass
    arrived = list(dict.fromkeys(await inbox.ids()))
    assert arrived[: len(taken)] == taken


async def test_a_spool_is_free_again_when_its_process_was_killed(inbox: Any, tmp_path: Path) -> None:
    child = await a_child(inbox.crm_url, tmp_path)
    await told(child, 1)
    with pytest.raises(Exception, match=f"process {child.pid}"):
        await inbox.publisher(tmp_path).__aenter__()
    await ended(child)
    async with inbox.publisher(tmp_path) as publisher:
        await publisher.publish(a_lead_created())


async def test_a_publisher_without_a_broker_says_so_and_uses_it_once_it_is_there(inbox: Any) -> None:
    async with proxied(inbox) as (proxy, url):
        proxy.cut()
        async with NexusPublisher(url, "clinica-sul", "crm", patience=0.5) as publisher:
            with pytest.raises(NotConfirmed):
                await publisher.publish(a_lead_created())
            proxy.heal()
            while publisher.unconfirmed:
                await asyncio.sleep(0.05)
    assert await inbox.ids() == [a_lead_created().id]


async def a_child(url: str, spool: Path, *, warm_up: int = 0) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), url, str(spool), str(warm_up), stdout=asyncio.subprocess.PIPE
    )


async def told(child: asyncio.subprocess.Process, lines: int) -> list[str]:
    assert child.stdout is not None
    return [(await child.stdout.readline()).decode().strip() for _ in range(lines)]


async def ended(child: asyncio.subprocess.Process) -> list[str]:
    """kill -9; whole lines that it still had said."""
    child.send_signal(signal.SIGKILL)
    assert child.stdout is not None
    rest = await child.stdout.read()
    await child.wait()
    return [line.decode() for line in rest.split(b"\n")[:-1]]
