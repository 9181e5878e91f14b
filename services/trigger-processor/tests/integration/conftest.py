"""trigger-processor as it runs, over a real database and broker, driven step by step."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import pytest
import pytest_asyncio

import nexus_trigger_processor
from nexus_fakes.receiver import Receiver
from nexus_shared import topology
from nexus_shared.access.keys import Keys
from nexus_shared.access.principal import ROLES, Role, Scope
from nexus_shared.access.tokens import TokenSigner, public_key_of
from nexus_shared.database import Database
from nexus_shared.database.outbox import Outbox, OutboxStore
from nexus_shared.envelope import Event
from nexus_shared.ids import TenantId
from nexus_shared.lanes import Frame
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.observability.metrics import new_registry
from nexus_shared.runtime import Service
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.databases import FreshDatabase, FreshDatabases
from nexus_shared.testing.provision import Servers
from nexus_trigger_processor.app import build
from nexus_trigger_processor.handlers.deciding import Decider
from nexus_trigger_processor.handlers.live_triggers import LiveTriggers
from nexus_trigger_processor.handlers.matching import Matcher
from nexus_trigger_processor.handlers.reacting import Reactions
from nexus_trigger_processor.measures import Measures
from nexus_trigger_processor.settings import Settings
from nexus_trigger_processor.store.matching import MatchingStore
from nexus_trigger_processor.store.platform import PlatformStore

MIGRATIONS = Path(nexus_trigger_processor.__file__).parent / "migrations"
SEED = bytes(range(32))
MASTER = Keys({"m1": bytes(range(32, 64))})

_signer = TokenSigner("k1", SEED)


def token(tenant: str, *scopes: Scope) -> str:
    """A key of this tenant, with all a clinic's administrator may do unless scopes are named."""
    granted = scopes or tuple(ROLES[Role.CLINIC_ADMIN])
    return _signer.issue("ana", TenantId(tenant), granted, datetime.now(UTC) + timedelta(hours=1))[0]


class Lanes:
    """What the log would say: the next position, and where each lane's last frame ended."""

    def __init__(self) -> None:
        self.position = 0
        self.ends = dict.fromkeys(range(16), 0)

    def frame(self, lane: int, events: Sequence[Event]) -> Frame:
        """The events, recorded this moment, as the lane's next frame."""
        recorded = [self._recorded(event) for event in events]
        prev, self.ends[lane] = self.ends[lane], self.position
        return Frame(lane, prev, self.position, recorded)

    def _recorded(self, event: Event) -> dict[str, Any]:
        self.position += 1
        return {
            "correlationid": event.id,
            **event.as_dict(),
            "hops": event.hops,
            "sequence": str(self.position),
            "recordedtime": datetime.now(UTC).isoformat(),
        }


@dataclass
class Processor:
    """The service, for one test with a tenant of its own. Frames and sending are driven by hand."""

    service: Service
    database: Database
    matcher: Matcher
    vhost: TestVhost
    receiver: Receiver
    lanes: Lanes
    clients: AsyncExitStack
    tenant: str
    settings: Settings

    async def client(self, *scopes: Scope, tenant: str | None = None) -> httpx.AsyncClient:
        """Speaks to the API with a key of the test's tenant, or of another."""
        key = token(tenant or self.tenant, *scopes)
        return await self.clients.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(self.service.api),
                base_url="http://nexus",
                headers={"Authorization": f"Bearer {key}"},
            )
        )

    def job(self, name: str) -> Any:
        """One of the service's loops, to be stepped by hand."""
        return next(job for job in self.service.jobs if job.name == name)

    def definition(self, *, conditions: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """Sends a webhook to the receiver about every new lead that came by ads."""
        rule = {"field": "data.source", "operator": "=", "value": "ads"}
        return {
            "name": "Leads de anúncios",
            "event_type": "lead.created",
            "conditions": conditions or {"combinator": "and", "rules": [rule]},
            "actions": [self.action("avisar")],
            **changes,
        }

    def action(self, key: str, path: str = "/hooks", **parameters: Any) -> dict[str, Any]:
        return {
            "key": key,
            "kind": "send_webhook",
            "parameters": {"url": f"{self.receiver.url}{path}", **parameters},
        }

    async def create(self, client: httpx.AsyncClient, definition: Mapping[str, Any]) -> dict[str, Any]:
        """A new draft, as the API answers."""
        answer = await client.post("/v1/triggers", json=definition)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def publish(self, client: httpx.AsyncClient, definition: Mapping[str, Any]) -> dict[str, Any]:
        """A new trigger, published, as the API answers; with the secrets made for it."""
        made = await self.create(client, definition)
        answer = await client.post(f"/v1/triggers/{made['id']}/publish", json={"reason": "primeira versão"})
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "secrets": made["secrets"]}

    def replica(self) -> Matcher:
        """Another process that reads the log."""
        return matcher(self.database, self.vhost)

    async def deliver(self, *events: Event, lane: int = 3) -> int:
        """Records events of the test's tenant on a lane and has them matched; the last one's position."""
        own = [event.model_copy(update={"tenantid": self.tenant}) for event in events]
        frame = self.lanes.frame(lane, own)
        await self.matcher.commit([frame])
        return frame.last

    async def pass_over(self) -> None:
        """A frame of nobody's on every lane: all of them have come as far as the log goes."""
        for lane in self.lanes.ends:
            await self.matcher.commit([self.lanes.frame(lane, [])])

    async def facts(self, *types: str) -> list[dict[str, Any]]:
        """The test's tenant's facts that reached the broker, until one of each type is there; in their order."""
        found: list[dict[str, Any]] = []
        connection = await aio_pika.connect(self.vhost.url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue(topology.RECORD_QUEUE)
            async with asyncio.timeout(10), queue.iterator() as messages:
                async for message in messages:
                    await message.ack()
                    found += [e for e in json.loads(message.body) if e["tenantid"] == self.tenant]
                    if set(types) <= {event["type"] for event in found}:
                        break
        return found

    async def send(self, requests: int) -> None:
        """Has waiting webhooks sent until the receiver got this many in all, and their outcomes recorded."""
        await self.job("sending").once()
        await self.receiver.wait_for(requests)
        await self.settled()

    async def settled(self) -> None:
        """Waits until no request is out."""
        for _ in range(200):
            if not await self.fetchval("select count(*) from pending_actions where leased_by is not null"):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("an attempt's outcome was not recorded")

    async def fetch(self, query: str, *values: Any) -> list[Any]:
        async with self.database.connection() as connection:
            return list(await connection.fetch(query, *values))

    async def fetchval(self, query: str, *values: Any) -> Any:
        async with self.database.connection() as connection:
            return await connection.fetchval(query, *values)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(
    servers: Servers, vhost: TestVhost, receiver: Receiver
) -> AsyncIterator[tuple[Settings, Service, Matcher, Lanes]]:
    """The service, opened and not running, over one database for all tests: they differ in their tenant."""
    databases = FreshDatabases(servers.database_url)
    made = await databases("trigger_processor", MIGRATIONS)
    settings = settings_for(made, vhost, receiver)
    service = build(settings)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(databases.drop_all)
        for resource in service.resources:
            await resource.open()
            opened.push_async_callback(resource.close)
        for stop in service.on_stop:
            opened.push_async_callback(stop)
        yield settings, service, matcher(database_of(service), vhost), Lanes()


@pytest.fixture
async def processor(
    running: tuple[Settings, Service, Matcher, Lanes], vhost: TestVhost, receiver: Receiver
) -> AsyncIterator[Processor]:
    settings, service, matching, lanes = running
    receiver.reset()
    database = database_of(service)
    async with AsyncExitStack() as clients:
        tenant = f"clinica-{secrets.token_hex(4)}"
        yield Processor(service, database, matching, vhost, receiver, lanes, clients, tenant, settings)
        async with database.connection() as connection:
            await connection.execute("delete from pending_actions; delete from outbox")


def database_of(service: Service) -> Database:
    database = service.resources[0]
    assert isinstance(database, Database)
    return database


def settings_for(database: FreshDatabase, vhost: TestVhost, receiver: Receiver) -> Settings:
    return Settings(
        database_url=database.worker_url,
        database_api_url=database.api_url,
        amqp_url=vhost.url_of("svc.trigger-processor"),
        master_keys=MASTER,
        token_public_keys=Keys({"k1": public_key_of(SEED)}),
        outbound_allow=f"127.0.0.1:{receiver.port}",
    )


def matcher(database: Database, vhost: TestVhost) -> Matcher:
    """A matcher that is told of frames by hand; its facts stay in the outbox."""
    store = MatchingStore()
    reactions = Reactions(PlatformStore(database))
    publisher = Publisher(vhost.url_of("svc.trigger-processor"), "test-matcher")
    return Matcher(
        database,
        store,
        LiveTriggers(store),
        Decider(MasterKeys(MASTER), reactions.tenant_values, lambda: datetime.now(UTC)),
        reactions,
        Silent(OutboxStore(database), publisher),
        Measures(new_registry("test")),
        on_actions=lambda: None,
        on_hole=lambda lane, after: None,
    )


class Silent(Outbox):
    """Leaves messages in the table, where a test can look at them."""

    def post(self, ids: Sequence[int], rows: Sequence[Any]) -> None:
        return
