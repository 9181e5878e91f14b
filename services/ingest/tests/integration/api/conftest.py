"""ingest as it runs in production, with PostgreSQL and RabbitMQ, asked over HTTP as clinics ask it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import aio_pika
import asyncpg
import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

import nexus_ingest
from nexus_ingest.app import build
from nexus_ingest.handlers.api_keys import ApiKeys
from nexus_ingest.handlers.facts import Facts
from nexus_ingest.handlers.recording import Recorder
from nexus_ingest.settings import Settings
from nexus_ingest.store.api_keys import ApiKeyStore
from nexus_ingest.store.tenants import TenantStore
from nexus_shared import runtime, topology
from nexus_shared.access.principal import ROLES, Role, Scope
from nexus_shared.access.revocations import Revocations
from nexus_shared.access.tokens import TokenSigner, public_key_of
from nexus_shared.database import Database
from nexus_shared.envelope import BATCH, STRUCTURED, Command, Event
from nexus_shared.ids import PLATFORM, TenantId
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.databases import FreshDatabase, FreshDatabases
from nexus_shared.testing.processes import free_port
from nexus_shared.testing.provision import Servers

Handler = TypeVar("Handler")

MIGRATIONS = Path(nexus_ingest.__file__).parent / "migrations"
SEED = bytes(range(32))
SIGNER = TokenSigner("k1", SEED)
CRMS = [topology.ClientUser("pub", TenantId(f"com-crm-{n}"), "crm", f"crm-{n}") for n in range(20)]
"""Publishers of tenants, made with the vhost: one by one they take a second each."""


@dataclass
class Clinic:
    """One tenant with a key, talking to ingest."""

    tenant_id: TenantId
    http: httpx.AsyncClient
    ingest: Ingest

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The answer's JSON; fails on another status."""
        answer = await self.http.request(method, path, **options)
        assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    async def get(self, path: str, expect: int = 200, /, **params: Any) -> Any:
        given = {name.rstrip("_"): value for name, value in params.items()}
        return await self.ask("GET", path, expect, params=given)

    async def publish(self, *events: Event) -> list[dict[str, Any]]:
        """Their results; the events become this clinic's."""
        bodies = [event.model_copy(update={"tenantid": self.tenant_id}).as_dict() for event in events]
        answer = await self.ask("POST", "/v1/events", 202, json=bodies, headers={"content-type": BATCH})
        results: list[dict[str, Any]] = answer["results"]
        return results

    async def publish_raw(self, content: bytes, content_type: str = STRUCTURED) -> httpx.Response:
        return await self.http.post("/v1/events", content=content, headers={"content-type": content_type})

    async def publish_by_broker(self, content: bytes, key: str, content_type: str = STRUCTURED) -> None:
        """As one of its systems does, with the rights of a publisher of this tenant."""
        user = f"pub.{self.tenant_id}.crm"
        connection = await aio_pika.connect(self.ingest.vhost.url_of(user))
        async with connection:
            exchange = await (await connection.channel()).get_exchange(topology.INBOUND, ensure=False)
            message = aio_pika.Message(content, content_type=content_type, user_id=user)
            await exchange.publish(message, key)

    async def facts(self, type: str) -> list[dict[str, Any]]:
        """The recorded events of this type, oldest first."""
        page = await self.get("/v1/events", type=type, order="asc", limit=200)
        return [item["event"] for item in page["items"]]


@dataclass
class Ingest:
    """A running ingest and the way to its surroundings."""

    url: str
    service: runtime.Service
    database: FreshDatabase
    vhost: TestVhost
    _clients: list[httpx.AsyncClient] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(1))
    _crms: Any = field(default_factory=lambda: iter(CRMS))

    def token(self, tenant_id: str, *scopes: Scope, days: float = 1, name: str = "test") -> str:
        until = datetime.now(UTC) + timedelta(days=days)
        return SIGNER.issue(name, TenantId(tenant_id), scopes, until)[0]

    def clinic(self, *scopes: Scope, tenant_id: str = "", token: str = "") -> Clinic:
        """A tenant nobody else has, unless it is named; its key may do everything a clinic may, unless scopes are."""
        tenant = TenantId(tenant_id or f"clinica-{next(self._numbers)}")
        may = scopes or tuple(ROLES[Role.PLATFORM if tenant == PLATFORM else Role.CLINIC_ADMIN])
        key = token or self.token(tenant, *may)
        headers = {"Authorization": f"Bearer {key}"}
        http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, verify=False)
        self._clients.append(http)
        return Clinic(tenant, http, self)

    def platform(self) -> Clinic:
        return self.clinic(tenant_id=PLATFORM)

    def publishing_clinic(self) -> Clinic:
        """A clinic that also has a system at the broker."""
        return self.clinic(tenant_id=next(self._crms).tenant_id)

    def api_keys(self, clock: Callable[[], datetime]) -> ApiKeys:
        """The use case with another clock."""
        database = cast(Database, self.service.resources[0])
        facts = Facts(self.handler(Recorder))
        return ApiKeys(ApiKeyStore(database), TenantStore(database), SIGNER, facts, Revocations(), clock)

    async def command(self, type: str, data: dict[str, Any]) -> None:
        """As trigger-processor sends it."""
        body = Command(id=str(uuid4()), source="trigger-processor", type=type, tenantid=PLATFORM, data=data)
        await self._say("trigger-processor", topology.COMMANDS, type, body.to_json(), STRUCTURED)

    async def publish_by_service(self, service: str, batch: bytes) -> None:
        """Facts, as a service of ours publishes them."""
        await self._say(service, topology.INBOUND, topology.FACTS_KEY, batch, BATCH)

    async def _say(self, service: str, exchange: str, key: str, content: bytes, content_type: str) -> None:
        user = f"svc.{service}"
        connection = await aio_pika.connect(self.vhost.url_of(user))
        async with connection:
            to = await (await connection.channel()).get_exchange(exchange, ensure=False)
            await to.publish(aio_pika.Message(content, content_type=content_type, user_id=user), key)

    def handler(self, kind: type[Handler]) -> Handler:
        """A use case itself, for what only the clock or a loop would call."""
        handler: Handler = self.service.api.state.handlers[kind]
        return handler

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        """As the database's superuser: to look, and to do what the years do."""
        connection = await asyncpg.connect(self.database.admin_url)
        try:
            await connection.execute("set search_path to ingest")
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


def settings_for(database: FreshDatabase, vhost: TestVhost, **others: Any) -> Settings:
    usual = {
        "database_url": database.worker_url,
        "database_api_url": database.api_url,
        "amqp_url": vhost.url_of("svc.ingest"),
        "master_keys": "k1:" + base64.b64encode(bytes(32)).decode(),
        "token_public_keys": "k1:" + base64.urlsafe_b64encode(public_key_of(SEED)).decode(),
        "token_signing_key": base64.b64encode(SEED).decode(),
        "http_port": free_port(),
    }
    return Settings(**(usual | others))


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[runtime.Service, str]]:
    """The service, everything of it, in this loop; and its URL."""
    stopping = asyncio.Event()
    service = build(settings)
    serving = asyncio.create_task(runtime.serve(service, stopping))
    url = f"http://127.0.0.1:{settings.http_port}"
    try:
        async with httpx.AsyncClient(base_url=url) as client:
            await until(lambda: _answers(client, serving), 20)
            await until(lambda: _listens(service), 20)
        yield service, url
    finally:
        stopping.set()
        await serving
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(signum)


async def _answers(client: httpx.AsyncClient, serving: asyncio.Task[None]) -> bool:
    if serving.done():
        serving.result()
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def _listens(service: runtime.Service) -> bool:
    """A broker client that is stopped while it starts leaves a connection behind."""
    return service.subscribers is not None and all(
        subscriber.running for subscriber in service.subscribers.broker.subscribers
    )


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    """Waits for what comes by itself, and fails when it does not come."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ingest(servers: Servers) -> AsyncIterator[Ingest]:
    """One for all tests: each has tenants of its own."""
    databases = FreshDatabases(servers.database_url)
    vhost = TestVhost.make(servers, CRMS)
    try:
        database = await databases("ingest", MIGRATIONS)
        # Nobody reads the logs, and printing a traceback takes seconds.
        with capture_logs():
            async with running(settings_for(database, vhost)) as (service, url):
                made = Ingest(url, service, database, vhost)
                yield made
                await made.close()
    finally:
        vhost.drop()
        await databases.drop_clones()
        await databases.drop_all()


@pytest.fixture(scope="session")
def migrations() -> Path:
    return MIGRATIONS


@pytest.fixture
def clinic(ingest: Ingest) -> Clinic:
    return ingest.clinic()


@pytest.fixture
def instance(ingest: Ingest) -> Callable[..., contextlib.AbstractAsyncContextManager[str]]:
    """Another instance beside it, with other settings: `async with instance(publish_rate=1) as url`."""

    @contextlib.asynccontextmanager
    async def run(**settings: Any) -> AsyncIterator[str]:
        async with running(settings_for(ingest.database, ingest.vhost, **settings)) as (_, url):
            yield url

    return run


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[None]]:
    return until
