"""Our own processes die in the middle of their work."""

from __future__ import annotations

import asyncio

import pytest
from tests.harness.stack import INGEST, PROCESSOR, Stack

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("name", [INGEST, PROCESSOR])
async def test_a_service_that_is_killed_under_load_loses_and_doubles_nothing(stack: Stack, name: str) -> None:
    service = stack.service(name)

    async with stack.load():
        for pause in (0.5, 1.0, 0.2):
            await asyncio.sleep(pause)
            service.kill()
            service.start()
            await service.ready()

    await stack.settle()
