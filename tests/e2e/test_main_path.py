"""The main job, from outside: a system that knows nothing of us publishes, and the clinic's receiver is called."""

from __future__ import annotations

import pytest
from tests.harness.stack import Stack
from tests.harness.triggers import every_lead, leads_from_ads

pytestmark = pytest.mark.e2e


async def test_what_systems_publish_in_any_way_becomes_exactly_its_webhooks(stack: Stack) -> None:
    for trigger in (every_lead("clinica-sul"), leads_from_ads("clinica-sul"), every_lead("clinica-norte")):
        await stack.publish(trigger)

    for way in ("amqp", "batches", "http"):
        await stack.writer("clinica-sul", way).publish(40)
    await stack.writer("clinica-norte").publish(20)

    await stack.settle()
