"""The broker and the database go away under load, and come back."""

from __future__ import annotations

import asyncio

import pytest
from tests.harness.stack import Stack

pytestmark = pytest.mark.faults


async def test_a_broker_that_is_stopped_for_20_seconds_delays_and_loses_nothing(stack: Stack) -> None:
    async with stack.load():
        await asyncio.to_thread(stack.private.stop_rabbitmq)
        await asyncio.sleep(20)
        await asyncio.to_thread(stack.private.start_rabbitmq)

    await stack.settle()


async def test_a_broker_that_is_killed_keeps_what_it_confirmed(stack: Stack) -> None:
    async with stack.load():
        await asyncio.to_thread(stack.private.kill_rabbitmq)
        await asyncio.to_thread(stack.private.start_rabbitmq)

    await stack.settle()


async def test_a_database_that_crashes_loses_nothing_that_was_confirmed(stack: Stack) -> None:
    async with stack.load():
        for _ in range(2):
            await asyncio.to_thread(stack.private.kill_postgres)
            await asyncio.sleep(1)
            await asyncio.to_thread(stack.private.start_postgres)
            await asyncio.sleep(2)

    await stack.settle()


async def test_a_database_that_freezes_for_10_seconds_makes_everybody_wait(stack: Stack) -> None:
    async with stack.load():
        stack.private.freeze_postgres()
        await asyncio.sleep(10)
        stack.private.thaw_postgres()

    await stack.settle()
