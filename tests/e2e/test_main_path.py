"""The main job, from outside: a system that knows nothing of us publishes, and the clinic's receiver is called."""

from __future__ import annotations

import ast
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from tests.harness.stack import Stack
from tests.harness.triggers import every_lead, leads_from_ads

from nexus_shared.access.principal import Role
from nexus_shared.envelope import STRUCTURED
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.e2e

PLAIN_PUBLISHER = Path(__file__).with_name("plain_publisher.py")
CLINIC = "clinica-leste"


async def test_what_systems_publish_in_any_way_becomes_exactly_its_webhooks_also_with_two_of_each_service(
    stack: Stack,
) -> None:
    for trigger in (every_lead("clinica-sul"), leads_from_ads("clinica-sul"), every_lead("clinica-norte")):
        await stack.publish(trigger)

    for way in ("amqp", "batches", "http"):
        await stack.writer("clinica-sul", way).publish(40)
    await stack.writer("clinica-norte").publish(20)

    await stack.settle()


async def test_a_script_with_nothing_of_ours_fires_a_trigger_and_the_signature_verifies(stack: Stack) -> None:
    await stack.publish(leads_from_ads(CLINIC))

    script = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PLAIN_PUBLISHER),
        CLINIC,
        "L-17",
        env=dict(os.environ) | {"AMQP_URL": stack.publisher_url(CLINIC)},
    )

    assert await asyncio.wait_for(script.wait(), 30) == 0
    webhook = await _webhook_about(stack, "lead/L-17")
    told = Webhook(stack.keys.webhooks).verify(webhook["body"], webhook["headers"])
    assert told["data"]["name"] == "Ana Luísa Prado"


def test_the_script_is_short_and_imports_nothing_of_ours() -> None:
    source = PLAIN_PUBLISHER.read_text("utf-8")
    imported = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert imported == {"aio_pika", "asyncio", "json", "os", "sys", "uuid"}
    assert len([line for line in source.splitlines()[1:] if line.strip()]) <= 20


async def test_an_event_posted_over_http_fires_a_trigger(stack: Stack) -> None:
    await stack.publish(leads_from_ads(CLINIC))
    lead = a_lead_created(number=18, id="by-http", tenantid=CLINIC, source="site", data={"source": "ads"})

    async with _client(stack, Role.DEVELOPER) as client:
        answer = await client.post(
            f"{stack.services['ingest'][1].url}/v1/events",
            content=lead.to_json(),
            headers={"Content-Type": STRUCTURED},
        )

    assert answer.status_code == 202, answer.text
    assert [result["status"] for result in answer.json()["results"]] == ["stored"]
    webhook = await _webhook_about(stack, "lead/lead-18")
    assert webhook["signature"] == "valid"


async def test_a_key_that_is_taken_back_is_refused_by_every_service_within_five_seconds(stack: Stack) -> None:
    async with _client(stack, Role.CLINIC_ADMIN) as admin:
        made = await admin.post(
            f"{stack.service('ingest').url}/v1/tokens", json={"name": "painel", "role": "viewer"}
        )
        assert made.status_code == 201, made.text
        key = made.json()
        doors = [f"{program.url}/v1/events" for program in stack.services["ingest"]]
        doors += [f"{program.url}/v1/triggers" for program in stack.services["trigger-processor"]]
        assert [await _status(door, key["token"]) for door in doors] == [200] * 4

        gone = await admin.delete(f"{stack.service('ingest').url}/v1/tokens/{key['jti']}")

    assert gone.status_code in (200, 204), gone.text
    async with asyncio.timeout(5):
        while [await _status(door, key["token"]) for door in doors] != [401] * 4:
            await asyncio.sleep(0.1)


def _client(stack: Stack, role: Role) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {stack.keys.token(CLINIC, role)}"}
    return httpx.AsyncClient(headers=headers, timeout=20)


async def _status(door: str, token: str) -> int:
    async with httpx.AsyncClient(timeout=20) as client:
        return (await client.get(door, headers={"Authorization": f"Bearer {token}"})).status_code


async def _webhook_about(stack: Stack, subject: str) -> dict[str, Any]:
    """The delivery that tells about this subject, within ten seconds."""
    async with asyncio.timeout(10):
        while True:
            for delivery in stack.receiver.deliveries():
                if f'"{subject}"' in str(delivery["body"]):
                    return delivery
            await asyncio.sleep(0.05)
