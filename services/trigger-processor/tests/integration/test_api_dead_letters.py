"""Dead letters: out of the broker's queue into a table, seen by whom they concern, dealt with."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from structlog.testing import capture_logs

from nexus_shared.access.principal import Scope
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.sealing import MasterKeys
from nexus_trigger_processor import subscribers
from nexus_trigger_processor.handlers.dead_letters import Undertaker
from nexus_trigger_processor.store.dead_letters import DeadLetterStore

pytestmark = pytest.mark.integration

OTHER = "clinica-norte"
MASTER = {"m1": bytes(range(32, 64))}
QUEUE = "whatsapp-gateway.commands"


def undertaker(processor: Any) -> Undertaker:
    return Undertaker(DeadLetterStore(processor.database), MasterKeys(MASTER))


def a_death(tenant: str, *, message_id: str = "m-1", **command: Any) -> Delivery:
    """A command that its gateway rejected."""
    body = {"id": message_id, "type": "whatsapp.send_message", "tenantid": tenant, "data": {}, **command}
    first = {"queue": QUEUE, "reason": "rejected", "count": 1, "exchange": "nexus.commands"}
    return Delivery(
        json.dumps(body).encode(),
        key="whatsapp-gateway",
        headers={"x-death": [first], "x-first-death-queue": QUEUE, "x-first-death-reason": "rejected"},
        message_id=message_id,
    )


async def filed(processor: Any, *deliveries: Delivery) -> None:
    taker = undertaker(processor)
    await taker.commit(await taker.prepare(deliveries))


async def test_a_rejected_message_ends_in_the_table_with_its_cause(processor: Any) -> None:
    settings = processor.settings
    reader = subscribers.dead_letters(settings.amqp_url, undertaker(processor))
    message_id = str(uuid4())
    body = json.dumps({"type": "whatsapp.send_message", "tenantid": processor.tenant}).encode()
    connection = await aio_pika.connect(processor.vhost.url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange("nexus.commands")
        await exchange.publish(
            aio_pika.Message(body, message_id=message_id, delivery_mode=2), "whatsapp.send_message"
        )
        queue = await channel.get_queue(QUEUE)
        message = await queue.get(timeout=5)
        await message.reject(requeue=False)
    reading = asyncio.create_task(reader.run())
    client = await processor.client()
    async with asyncio.timeout(10):
        while not (items := (await client.get("/v1/dead-letters")).json()["items"]):
            await asyncio.sleep(0.02)
    await reader.stop()
    await reading
    letter = (await client.get(f"/v1/dead-letters/{items[0]['id']}")).json()
    assert (letter["service"], letter["queue"], letter["cause"]) == ("whatsapp-gateway", QUEUE, "rejected")
    assert (letter["message_id"], letter["type"]) == (message_id, "whatsapp.send_message")
    assert (letter["status"], letter["content"]) == ("open", None)
    assert (letter["deaths"][0]["queue"], letter["deaths"][0]["count"]) == (QUEUE, 1)
    assert letter["deaths"][0]["at"] is not None


async def test_a_message_that_comes_twice_is_filed_and_alarmed_once(processor: Any) -> None:
    with capture_logs() as lines:
        await filed(processor, a_death(processor.tenant))
        await filed(processor, a_death(processor.tenant), a_death(processor.tenant, message_id="m-2"))
    items = (await (await processor.client()).get("/v1/dead-letters")).json()["items"]
    alarms = [line for line in lines if line["event"] == "dead_letters"]
    assert sorted(item["message_id"] for item in items) == ["m-1", "m-2"]
    assert [(alarm["log_level"], alarm["number"]) for alarm in alarms] == [("error", 1), ("error", 1)]


async def test_one_batch_may_hold_the_same_message_twice(processor: Any) -> None:
    await filed(processor, a_death(processor.tenant), a_death(processor.tenant))
    assert len((await (await processor.client()).get("/v1/dead-letters")).json()["items"]) == 1


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(b"\x00\xff not json", key="ingest"),
        Delivery(b"[1, 2]", key="ingest", headers={"x-death": "odd", "x-first-death-queue": 7}),
        Delivery(b"", message_id="a\x00b", headers={"x-death": [{"queue": b"q\x00", "count": "x"}]}),
        Delivery(b'[{"tenantid": "a"}, {"tenantid": "b"}]', key="trigger-processor", headers={"lane": 3}),
    ],
)
async def test_whatever_it_is_it_is_filed_for_the_platform(processor: Any, delivery: Delivery) -> None:
    unique = Delivery(
        delivery.body,
        key=delivery.key,
        headers=delivery.headers,
        message_id=delivery.message_id + processor.tenant,
    )
    await filed(processor, unique)
    platform = await processor.client(tenant="nexus")
    items = (await platform.get("/v1/dead-letters")).json()["items"]
    found = next(item for item in items if item["message_id"].endswith(processor.tenant))
    shown = await platform.get(f"/v1/dead-letters/{found['id']}", params={"reveal": True})
    assert found["tenant_id"] == "nexus"
    assert shown.json()["content"] == delivery.body.decode(errors="replace")
    assert (await (await processor.client()).get(f"/v1/dead-letters/{found['id']}")).status_code == 404


async def test_a_tenant_sees_its_own_and_the_platform_sees_all(processor: Any) -> None:
    await filed(processor, a_death(processor.tenant), a_death(OTHER, message_id=processor.tenant))
    own = (await (await processor.client()).get("/v1/dead-letters")).json()["items"]
    platform = await processor.client(tenant="nexus")
    every = (await platform.get("/v1/dead-letters", params={"limit": 200})).json()["items"]
    assert {item["tenant_id"] for item in own} == {processor.tenant}
    assert {processor.tenant, OTHER} <= {item["tenant_id"] for item in every}
    theirs = await processor.client(tenant=OTHER)
    path = f"/v1/dead-letters/{own[0]['id']}"
    assert (await theirs.get(path)).status_code == 404
    assert (await theirs.post(f"{path}/discard", json={"reason": "x"})).status_code == 404
    assert (await platform.get(path)).status_code == 200


async def test_open_ones_are_counted_by_what_they_died_of(processor: Any) -> None:
    deaths = [a_death(processor.tenant, message_id=f"m-{n}") for n in range(3)]
    await filed(processor, *deaths, a_death(processor.tenant, type="whatsapp.check_number"))
    causes = (await (await processor.client()).get("/v1/dead-letters/causes")).json()["items"]
    assert [(cause["type"], cause["cause"], cause["number"]) for cause in causes] == [
        ("whatsapp.send_message", "rejected", 3),
        ("whatsapp.check_number", "rejected", 1),
    ]
    assert causes[0]["oldest_at"] <= causes[0]["newest_at"]


async def test_what_it_said_is_sealed_and_shown_only_to_those_who_may(processor: Any) -> None:
    await filed(processor, a_death(processor.tenant, data={"text": "Olá, Maria"}))
    client = await processor.client()
    path = f"/v1/dead-letters/{(await client.get('/v1/dead-letters')).json()['items'][0]['id']}"
    viewer = await processor.client(Scope.RUNS_READ)
    stored = await processor.fetchval("select body from dead_letters where tenant_id = $1", processor.tenant)
    assert b"Maria" not in stored
    assert (await viewer.get(path, params={"reveal": True})).status_code == 403
    assert "Maria" not in (await viewer.get(path)).text
    assert "Maria" in (await client.get(path, params={"reveal": True})).json()["content"]


async def test_a_discarded_one_stays_readable_with_its_reason(processor: Any) -> None:
    await filed(processor, a_death(processor.tenant))
    client = await processor.client()
    path = f"/v1/dead-letters/{(await client.get('/v1/dead-letters')).json()['items'][0]['id']}"
    unsaid = await client.post(f"{path}/discard", json={"reason": "  "})
    done = (await client.post(f"{path}/discard", json={"reason": "número errado"})).json()
    again = await client.post(f"{path}/discard", json={"reason": "de novo"})
    assert unsaid.status_code == 422
    assert (done["status"], done["settled_by"], done["note"]) == ("discarded", "ana", "número errado")
    assert (again.status_code, again.json()["type"]) == (409, "urn:nexus:problem:dead-letter-settled")
    assert (await client.get("/v1/dead-letters", params={"status": "open"})).json()["items"] == []
    assert (await client.get("/v1/dead-letters/causes")).json()["items"] == []
    assert (await client.get(path)).json()["note"] == "número errado"
