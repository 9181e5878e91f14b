"""The broker loses what it confirmed: the log has it all, and every hole is noticed."""

from __future__ import annotations

import asyncio

import pytest
from tests.harness.losses import losing_frames, purge
from tests.harness.stack import PROCESSOR, TENANTS, Stack

from nexus_shared.lanes import lane_of
from nexus_shared.topology import LANES

pytestmark = pytest.mark.faults


async def test_confirmed_frames_that_get_lost_under_load_are_healed_from_the_log(stack: Stack) -> None:
    before = await stack.holes()

    async with stack.load():
        for lanes in (range(LANES), range(0, LANES, 2), range(5)):
            async with losing_frames(stack.vhost.url, lanes) as lost:
                await asyncio.sleep(1)
            assert lost.events > 0

    await stack.settle()
    assert await stack.holes() > before


async def test_queues_that_are_purged_are_healed_from_the_log(stack: Stack) -> None:
    processor = stack.service(PROCESSOR)
    processor.kill()
    await stack.writer(TENANTS[0]).publish(60)
    await stack.writer(TENANTS[1], "batches").publish(60)
    await asyncio.sleep(1)

    assert await purge(stack.vhost.url) > 0
    processor.start()

    await stack.settle()


async def test_the_last_frame_of_a_lane_is_missed_although_other_lanes_never_rest(stack: Stack) -> None:
    writer = stack.writer(TENANTS[0], group=1)
    (event,) = writer.events(1)
    lane = lane_of(event.tenantid, event.subject or "")

    async with stack.load(per_second=200, beside=lane):
        async with losing_frames(stack.vhost.url, [lane]) as lost:
            await writer.send([event])
            await asyncio.sleep(1)
        assert lost.events > 0
        await stack.fires(event, within=10)

    await stack.settle()
