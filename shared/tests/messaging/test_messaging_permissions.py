"""Every row of the permission table, tried with the real users: what is not granted must be refused by the broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aio_pika
import aiormq
import pytest
from aiormq import spec

from nexus_shared import topology
from nexus_shared.ids import TenantId
from nexus_shared.messaging.publisher import Outgoing, Publisher, PublishUnconfirmed
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.provision import Servers

pytestmark = pytest.mark.integration

CRM = topology.ClientUser("pub", TenantId("clinica-sul"), "crm", "crm-password")
BI = topology.ClientUser("sub", TenantId("clinica-sul"), "bi", "bi-password")
REFUSED = aiormq.exceptions.ChannelAccessRefused


@pytest.fixture(scope="module")
def platform(servers: Servers) -> Iterator[TestVhost]:
    made = TestVhost.make(servers, [CRM, BI])
    yield made
    made.drop()


class User:
    """One broker user; after a refusal the broker closes the channel, so each try has its own."""

    def __init__(self, name: str, connection: aio_pika.abc.AbstractConnection) -> None:
        self.name, self._connection = name, connection

    async def channel(self) -> Any:
        return await (await self._connection.channel()).get_underlay_channel()

    async def publish(self, exchange: str, key: str, *, user_id: str | None = None) -> None:
        channel = await self.channel()
        properties = spec.Basic.Properties(user_id=user_id, message_id="1")
        await channel.basic_publish(b"{}", exchange=exchange, routing_key=key, properties=properties)

    async def read(self, queue: str) -> None:
        """Consuming; a single active consumer's queue refuses basic.get to everybody."""
        channel = await self.channel()
        await channel.basic_consume(queue, lambda message: None)
        await channel.close()


@pytest.fixture
async def user(platform: TestVhost) -> AsyncIterator[Any]:
    connections = []

    async def open_as(name: str) -> User:
        connections.append(await aio_pika.connect(platform.url_of(name)))
        return User(name, connections[-1])

    yield open_as
    for connection in connections:
        await connection.close()


async def is_refused(attempt: Any) -> bool:
    try:
        async with asyncio.timeout(5):
            await attempt
    except REFUSED:
        return True
    return False


INBOUND, LOG, EVENTS, COMMANDS = topology.INBOUND, topology.LOG, topology.EVENTS, topology.COMMANDS
PUBLISHING = [
    (CRM.user, INBOUND, "clinica-sul.lead.created", True),
    (CRM.user, INBOUND, "clinica-sul.batch", True),
    (CRM.user, INBOUND, "clinica-norte.lead.created", False),
    (CRM.user, INBOUND, "clinica-sul-2.lead.created", False),
    (CRM.user, INBOUND, "nexus.batch", False),
    (CRM.user, INBOUND, "", False),
    (CRM.user, LOG, "00", False),
    (CRM.user, EVENTS, "clinica-sul.lead.created", False),
    (CRM.user, COMMANDS, "whatsapp.send_message", False),
    (CRM.user, topology.DEAD, "ingest", False),
    (CRM.user, topology.UNROUTED, "x", False),
    (CRM.user, "", "ingest.record", False),
    (BI.user, INBOUND, "clinica-sul.lead.created", False),
    (BI.user, EVENTS, "clinica-sul.lead.created", False),
    (BI.user, "", "ingest.record", False),
    ("svc.ingest", LOG, "07", True),
    ("svc.ingest", EVENTS, "clinica-sul.lead.created", True),
    ("svc.ingest", COMMANDS, "trigger_processor.process_event", True),
    ("svc.ingest", COMMANDS, "whatsapp.send_message", False),
    ("svc.ingest", INBOUND, "nexus.batch", False),
    ("svc.ingest", INBOUND, "clinica-sul.lead.created", False),
    ("svc.ingest", topology.DEAD, "ingest", False),
    ("svc.trigger-processor", INBOUND, "nexus.batch", True),
    ("svc.trigger-processor", INBOUND, "clinica-sul.lead.created", False),
    ("svc.trigger-processor", COMMANDS, "ingest.resend", True),
    ("svc.trigger-processor", COMMANDS, "whatsapp.send_message", True),
    ("svc.trigger-processor", COMMANDS, "trigger_processor.process_event", False),
    ("svc.trigger-processor", LOG, "07", False),
    ("svc.trigger-processor", EVENTS, "clinica-sul.lead.created", False),
    ("svc.trigger-processor", "", "ingest.record", False),
    ("svc.whatsapp-gateway", INBOUND, "nexus.batch", True),
    ("svc.whatsapp-gateway", COMMANDS, "whatsapp.send_message", False),
    ("svc.whatsapp-gateway", COMMANDS, "ai.analyze_lead", True),
    ("svc.whatsapp-gateway", LOG, "07", False),
    ("svc.whatsapp-gateway", "", "trigger-processor.commands", False),
]


@pytest.mark.parametrize(("name", "exchange", "key", "may"), PUBLISHING)
async def test_a_user_publishes_what_it_is_granted_and_nothing_else(
    name: str, exchange: str, key: str, may: bool, user: Any
) -> None:
    assert await is_refused((await user(name)).publish(exchange, key)) is not may


READING = [
    ("svc.ingest", "ingest.record", True),
    ("svc.ingest", "ingest.commands", True),
    ("svc.ingest", "ingest.unrouted", True),
    ("svc.ingest", "trigger-processor.commands", False),
    ("svc.ingest", "trigger-processor.log.00", False),
    ("svc.trigger-processor", "trigger-processor.log.15", True),
    ("svc.trigger-processor", "trigger-processor.commands", True),
    ("svc.trigger-processor", "trigger-processor.dead-letters", True),
    ("svc.trigger-processor", "ingest.record", False),
    ("svc.whatsapp-gateway", "whatsapp-gateway.commands", True),
    ("svc.whatsapp-gateway", "n8n-bridge.commands", False),
    ("svc.whatsapp-gateway", "trigger-processor.log.00", False),
    (CRM.user, "ingest.record", False),
    (CRM.user, "trigger-processor.log.00", False),
    (BI.user, "ingest.record", False),
    (BI.user, "trigger-processor.log.00", False),
    (BI.user, "trigger-processor.dead-letters", False),
]


@pytest.mark.parametrize(("name", "queue", "may"), READING)
async def test_a_user_reads_its_own_queues_and_no_others(name: str, queue: str, may: bool, user: Any) -> None:
    assert await is_refused((await user(name)).read(queue)) is not may


@pytest.mark.parametrize("name", ["svc.ingest", "svc.trigger-processor", CRM.user])
async def test_services_and_publishers_declare_bind_purge_and_delete_nothing(name: str, user: Any) -> None:
    someone = await user(name)
    for attempt in (
        lambda channel: channel.queue_declare("ingest.more", durable=True),
        lambda channel: channel.exchange_declare("more", exchange_type="topic"),
        lambda channel: channel.queue_bind("ingest.record", EVENTS, "#"),
        lambda channel: channel.exchange_delete(INBOUND),
        lambda channel: channel.queue_delete("ingest.record"),
    ):
        assert await is_refused(attempt(await someone.channel()))
    if name == CRM.user:
        assert await is_refused((await someone.channel()).queue_purge("ingest.record"))


async def test_nobody_can_pretend_to_be_somebody_else(user: Any) -> None:
    crm = await user(CRM.user)
    with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
        await crm.publish(INBOUND, "clinica-sul.lead.created", user_id="svc.ingest")
    await crm.publish(INBOUND, "clinica-sul.lead.created", user_id=CRM.user)


async def test_our_publisher_says_who_it_is_and_a_refusal_is_an_error(platform: TestVhost) -> None:
    publisher = Publisher(platform.url_of(CRM.user), "test", timeout=5)
    await publisher.publish([Outgoing(INBOUND, "clinica-sul.lead.created", b"{}", "1")])
    with pytest.raises(PublishUnconfirmed):
        await publisher.publish([Outgoing(INBOUND, "clinica-norte.lead.created", b"{}", "2")])
    await publisher.close()


async def test_a_subscriber_hears_its_own_tenant_and_no_other(user: Any, platform: TestVhost) -> None:
    bi, ingest = await user(BI.user), await user("svc.ingest")
    queue = f"{BI.user}.all"
    channel = await bi.channel()
    await channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    await channel.queue_bind(queue, EVENTS, "clinica-sul.#")
    for key in ("#", "*.lead.created", "clinica-norte.#", "clinica-sul-2.#", "clinica-*.lead"):
        assert await is_refused((await bi.channel()).queue_bind(queue, EVENTS, key)), key
    for exchange in (INBOUND, LOG, COMMANDS, topology.DEAD, topology.UNROUTED):
        assert await is_refused((await bi.channel()).queue_bind(queue, exchange, "clinica-sul.#")), exchange
    for key in ("clinica-sul.lead.created", "clinica-norte.lead.created", "clinica-sul.lead.lost"):
        await ingest.publish(EVENTS, key)
    heard = [await channel.basic_get(queue, no_ack=True) for _ in range(3)]
    keys = [getattr(message.delivery, "routing_key", None) for message in heard]
    assert keys == ["clinica-sul.lead.created", "clinica-sul.lead.lost", None]


@pytest.mark.parametrize(
    "name", ["sub.clinica-sul.bi2.x", "sub.clinica-norte.bi.x", "ingest.record.2", "x", "amq.gen-1"]
)
async def test_a_subscriber_makes_queues_under_its_own_name_only(name: str, user: Any) -> None:
    channel = await (await user(BI.user)).channel()
    assert await is_refused(channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"}))


@pytest.mark.parametrize("exchange", [INBOUND, COMMANDS, LOG, EVENTS, ""])
async def test_a_subscriber_cannot_smuggle_messages_in_as_dead_letters(exchange: str, user: Any) -> None:
    channel = await (await user(BI.user)).channel()
    arguments = {
        "x-queue-type": "quorum", "x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "ingest.record",
        "x-message-ttl": 1,
    }  # fmt: skip
    assert await is_refused(channel.queue_declare(f"{BI.user}.smuggled", durable=True, arguments=arguments))


async def test_a_service_knows_only_its_own_password(platform: TestVhost) -> None:
    with pytest.raises(aiormq.exceptions.ProbableAuthenticationError):
        await aio_pika.connect(platform.servers.amqp_url_of(platform.name, "svc.ingest", "wrong"))
    with pytest.raises(aiormq.exceptions.AMQPError):
        await aio_pika.connect(
            platform.servers.amqp_url_of("/", "svc.ingest", platform.passwords["svc.ingest"])
        )


async def test_what_the_inbound_queue_rejects_is_kept_as_a_dead_letter(user: Any) -> None:
    crm, ingest = await user(CRM.user), await user("svc.ingest")
    await crm.publish(INBOUND, "clinica-sul.lead.created")
    rejected = asyncio.Event()
    channel = await ingest.channel()

    async def reject(message: Any) -> None:
        await channel.basic_reject(message.delivery.delivery_tag, requeue=False)
        rejected.set()

    await channel.basic_consume("ingest.record", reject)
    await asyncio.wait_for(rejected.wait(), 5)
    reader = await (await user("svc.trigger-processor")).channel()
    async with asyncio.timeout(10):
        while (
            await reader.basic_get("trigger-processor.dead-letters", no_ack=True)
        ).delivery.name != "Basic.GetOk":
            await asyncio.sleep(0.05)
