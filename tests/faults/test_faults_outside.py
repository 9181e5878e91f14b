"""The receiver misbehaves, and the network between us and the broker goes quiet."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.harness.stack import INGEST, PROCESSOR, TENANTS, Stack

from nexus_shared.testing.faultproxy import Direction

pytestmark = pytest.mark.faults


async def test_a_receiver_that_is_down_gets_its_webhooks_later_under_the_same_ids(stack: Stack) -> None:
    await stack.receiver.go_down(9)
    await asyncio.sleep(0.5)
    sent = await stack.writer(TENANTS[1]).publish(10)

    waiting = await stack.pending(sent, attempts=2, within=20)

    # The first waits: 5 s, then a minute, each give or take a fifth.
    now = datetime.now(UTC)
    assert all(timedelta(seconds=30) < due_at - now < timedelta(seconds=75) for due_at in waiting.values())
    await stack.settle()  # the minute passes
    delivered = [UUID(str(delivery["webhook_id"])) for delivery in stack.receiver.deliveries()]
    assert {id for id in delivered if id in waiting} == set(waiting)


async def test_a_receiver_that_hangs_up_is_called_again_with_the_same_id(stack: Stack) -> None:
    before = len(stack.receiver.deliveries())
    await stack.receiver.behave(close="before")
    sent = await stack.writer(TENANTS[1]).publish(10)
    waiting = await stack.pending(sent, attempts=1, within=20)
    await stack.receiver.behave()

    await stack.settle()

    delivered = [UUID(str(d["webhook_id"])) for d in stack.receiver.deliveries()[before:]]
    assert sorted(delivered) == sorted([*waiting, *waiting])


async def test_a_network_that_goes_quiet_is_noticed_and_what_waited_goes_through(stack: Stack) -> None:
    services = [stack.service(name) for name in (INGEST, PROCESSOR)]
    lost = [service.log.read_text().count("reader_lost_broker") for service in services]

    async with stack.load(per_second=10):
        stack.proxies[INGEST].half_open(Direction.DOWN)
        stack.proxies[PROCESSOR].blackhole()
        await asyncio.sleep(25)
        noticed = [service.log.read_text().count("reader_lost_broker") for service in services]
        for proxy in stack.proxies.values():
            proxy.heal()

    assert all(now > before for now, before in zip(noticed, lost, strict=True)), "nobody noticed"
    await stack.settle()


async def test_connections_that_are_cut_in_the_middle_of_frames_lose_nothing(stack: Stack) -> None:
    async with stack.load():
        for proxy in (*stack.proxies.values(), *stack.proxies.values()):
            proxy.reset_after(20_000)
            await asyncio.sleep(1.5)
            proxy.heal()
            proxy.reset()

    await stack.settle()
