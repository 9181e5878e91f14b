"""The whole platform as processes: servers, both services, a receiver of webhooks; and the knobs that break it.

    async with a_stack(servers, databases, directory) as stack:
        published = await stack.publish(every_lead("clinica-sul"))
        writer = stack.writer("clinica-sul")
        await writer.publish(50)
        await stack.settle()

Every stack has a database, a vhost and a receiver of its own; the servers may be shared.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx
from tests.harness.checker import Violation, violations
from tests.harness.evidence import gather, waiting
from tests.harness.ledger import Ledger, identity_of
from tests.harness.programs import BIN, Program, ServiceProgram
from tests.harness.publishing import AmqpChannel, HttpChannel, Writer
from tests.harness.triggers import Published, Trigger

import nexus_ingest
import nexus_trigger_processor
from nexus_shared.access.principal import ROLES, Role
from nexus_shared.access.tokens import TokenSigner, public_key_of
from nexus_shared.envelope import Event
from nexus_shared.ids import TenantId
from nexus_shared.outbound.signing import new_secret
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.databases import FreshDatabase, FreshDatabases
from nexus_shared.testing.faultproxy import FaultProxy
from nexus_shared.testing.processes import free_port
from nexus_shared.testing.provision import Servers
from nexus_shared.testing.servers import PrivateServers
from nexus_shared.topology import ClientUser

INGEST = "ingest"
PROCESSOR = "trigger-processor"
TENANTS = ("clinica-norte", "clinica-sul", "clinica-leste")
MIGRATIONS = {
    INGEST: Path(nexus_ingest.__file__).parent / "migrations",
    PROCESSOR: Path(nexus_trigger_processor.__file__).parent / "migrations",
}


_HAS_RUN = (
    "select true from trigger_processor.runs where tenant_id = $1 and source = $2 and event_id = $3 limit 1"
)

_PENDING = (
    "select p.action_id, p.due_at from trigger_processor.pending_actions p join trigger_processor.actions a"
    " using (action_id) join trigger_processor.runs r using (run_id)"
    " where r.event_id = any($1) and p.attempt = $2 and p.leased_by is null"
)


@dataclass(frozen=True)
class Keys:
    """Secrets of one stack."""

    master: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    signing: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    webhooks: str = field(default_factory=new_secret)

    def token(self, tenant_id: str, role: Role = Role.CLINIC_ADMIN) -> str:
        signer = TokenSigner("t1", self.signing)
        return signer.issue(
            "tests", TenantId(tenant_id), ROLES[role], datetime.now(UTC) + timedelta(hours=2)
        )[0]

    def settings(self) -> dict[str, str]:
        return {
            "NEXUS_MASTER_KEYS": f"k1:{_base64(self.master)}",
            "NEXUS_TOKEN_PUBLIC_KEYS": f"t1:{_base64(public_key_of(self.signing))}",
            "NEXUS_TOKEN_SIGNING_KEY": _base64(self.signing),
        }


@dataclass
class Stack:
    """`services[name]` are the instances of a service; `ledger` is the publishers', `published` the live triggers."""

    servers: Servers
    database: FreshDatabase
    vhost: TestVhost
    directory: Path
    keys: Keys
    receiver: Receiver
    services: dict[str, list[ServiceProgram]]
    proxies: dict[str, FaultProxy] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    published: list[Published] = field(default_factory=list)
    _writers: list[Writer] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def service(self, name: str) -> ServiceProgram:
        return self.services[name][0]

    @property
    def programs(self) -> list[ServiceProgram]:
        return [program for programs in self.services.values() for program in programs]

    @property
    def private(self) -> PrivateServers:
        """The servers, where they are ours to break."""
        assert self.servers.private is not None
        return self.servers.private

    async def up(self) -> None:
        """Starts what does not run and returns when every service is ready."""
        for program in self.programs:
            program.thaw()
            if not program.is_running:
                program.start()
        await asyncio.gather(*(program.ready() for program in self.programs))

    def writer(self, tenant_id: str, way: str = "amqp", *, group: int = 10) -> Writer:
        """A publisher: `amqp` (an event a message), `batches` (a group a message) or `http`."""
        channel: AmqpChannel | HttpChannel
        if way == "http":
            urls = [program.url for program in self.services[INGEST]]
            channel = HttpChannel(urls, self.keys.token(tenant_id, Role.DEVELOPER))
        else:
            channel = AmqpChannel(self.publisher_url(tenant_id), batches=way == "batches")
        writer = Writer(self.ledger, channel, tenant_id, next(self._numbers), group=group)
        self._writers.append(writer)
        return writer

    @asynccontextmanager
    async def load(self, per_second: float = 40, beside: int | None = None) -> AsyncIterator[None]:
        """Three systems publish all the while, each in its way and for its tenant; at the end all is confirmed.

        `beside`: a lane on which they publish nothing.
        """
        stopping = asyncio.Event()
        ways = zip(TENANTS, ("amqp", "batches", "http"), strict=True)
        systems = [self.writer(tenant, way) for tenant, way in ways]
        for system in systems:
            system.beside = beside
        running = [asyncio.create_task(writer.run(stopping, per_second=per_second)) for writer in systems]
        try:
            await asyncio.sleep(1)
            yield
            await asyncio.sleep(1)
        finally:
            stopping.set()
            await asyncio.gather(*running)

    def publisher_url(self, tenant_id: str) -> str:
        """The broker's address for a system of this tenant."""
        return self.vhost.url_of(f"pub.{tenant_id}.crm")

    async def publish(self, trigger: Trigger) -> Published:
        """Makes and publishes a trigger as staff would, over HTTP."""
        headers = {"Authorization": f"Bearer {self.keys.token(trigger.tenant_id)}"}
        url = f"{self.service(PROCESSOR).url}/v1/triggers"
        async with httpx.AsyncClient(headers=headers, timeout=20) as client:
            definition = trigger.definition(self.receiver.url, self.keys.webhooks)
            made = await client.post(url, json=definition)
            assert made.status_code == 201, made.text
            answer = await client.post(f"{url}/{made.json()['id']}/publish", json={"reason": "test"})
            assert answer.status_code == 200, answer.text
        state = answer.json()
        self.published.append(Published(trigger, UUID(state["id"]), state["effective_after"]))
        return self.published[-1]

    async def settle(self, *, within: float = 60.0, hurry: bool = True) -> None:
        """Waits until everything is done with, then checks every promise; AssertionError tells what is broken.

        `hurry`: leases of dead workers and waits for another attempt are over at once, as if that time had passed.
        """
        found = await self.check(within=within, hurry=hurry)
        assert not found, "\n".join(map(str, found)) + f"\n(logs in {self.directory})"

    async def check(self, *, within: float, hurry: bool) -> list[Violation]:
        """The same, as a list."""
        connection = await self.connect()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    while not (await waiting(connection, self.ledger)).is_over:
                        if hurry:
                            await self._hurry(connection)
                        await asyncio.sleep(0.5)
            deliveries = await asyncio.to_thread(self.receiver.deliveries)
            return violations(await gather(connection, self.ledger, self.published, deliveries))
        finally:
            await connection.close()

    async def holes(self) -> int:
        """How many holes trigger-processor has noticed so far."""
        connection = await self.connect()
        try:
            return int(await connection.fetchval("select sum(holes) from trigger_processor.lanes"))
        finally:
            await connection.close()

    async def fires(self, event: Event, *, within: float) -> None:
        """Returns when the event has a run; TimeoutError when it gets none."""
        connection = await self.connect()
        try:
            async with asyncio.timeout(within):
                while not await connection.fetchval(_HAS_RUN, *identity_of(event)):
                    await asyncio.sleep(0.1)
        finally:
            await connection.close()

    async def pending(self, events: Sequence[Event], *, attempts: int, within: float) -> dict[UUID, datetime]:
        """When these events' actions are due, once each was tried that often and waits to be tried again."""
        connection = await self.connect()
        ids = [event.id for event in events]
        try:
            async with asyncio.timeout(within):
                while len(rows := await connection.fetch(_PENDING, ids, attempts)) < len(events):
                    await asyncio.sleep(0.2)
        finally:
            await connection.close()
        return {row["action_id"]: row["due_at"] for row in rows}

    async def _hurry(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Time passes for what no living process holds."""
        alive = [f"%-{program.pid}" for program in self.services[PROCESSOR] if program.pid is not None]
        await connection.execute(
            "update trigger_processor.pending_actions set due_at = clock_timestamp()"
            " where due_at > clock_timestamp() and (leased_by is null or not leased_by like any($1))",
            alive,
        )

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """To the database, as its superuser."""
        return await asyncpg.connect(self.database.admin_url, timeout=10, command_timeout=30)

    async def close(self) -> None:
        for writer in self._writers:
            await writer.close()
        await asyncio.gather(*(program.stop() for program in self.programs))
        self.receiver.program.kill()
        for proxy in self.proxies.values():
            await proxy.stop()


@dataclass
class Receiver:
    """The fake receiver as a process; `ledger` is the file in which every request stands before it is answered."""

    program: Program
    url: str
    ledger: Path

    @classmethod
    async def start(cls, directory: Path, secret: str) -> Receiver:
        ledger, port = directory / "receiver.jsonl", free_port()
        command: list[str | Path] = [
            BIN / "nexus-fakes",
            "receiver",
            "--port",
            str(port),
            "--log",
            ledger,
            "--secret",
            secret,
        ]
        program = Program("receiver", command, {}, directory / "receiver.log")
        program.start()
        receiver = cls(program, f"http://127.0.0.1:{port}", ledger)
        await receiver._answers()
        return receiver

    async def behave(self, **settings: object) -> None:
        """See nexus_fakes.behaviour; without settings it answers 200 again."""
        await self._control("behaviour", settings)

    async def go_down(self, seconds: float) -> None:
        """Nothing listens for so long."""
        await self._control("down", {"seconds": seconds})

    def deliveries(self) -> list[dict[str, object]]:
        """Every request so far, in order of arrival; a last line that is still being written is left out."""
        lines = self.ledger.read_bytes().split(b"\n")[:-1] if self.ledger.exists() else []
        return [json.loads(line) for line in lines]

    async def _control(self, what: str, settings: dict[str, object]) -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.post(f"{self.url}/_control/{what}", json=settings)
            assert answer.status_code == 200, answer.text

    async def _answers(self) -> None:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"{self.url}/_control/stats")
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
                else:
                    return


@asynccontextmanager
async def a_stack(
    servers: Servers,
    databases: FreshDatabases,
    directory: Path,
    *,
    replicas: int = 1,
    proxied: Sequence[str] = (),
    tenants: Sequence[str] = TENANTS,
    processor: Sequence[str | Path] = (BIN / f"nexus-{PROCESSOR}",),
) -> AsyncIterator[Stack]:
    """A stack with `replicas` of each service, started and ready.

    Services in `proxied` reach the broker through a proxy; `processor` is the command that runs trigger-processor.
    """
    database = await databases(INGEST, MIGRATIONS[INGEST], also={"trigger_processor": MIGRATIONS[PROCESSOR]})
    clients = [ClientUser("pub", TenantId(tenant), "crm", secrets.token_hex(8)) for tenant in tenants]
    vhost = await asyncio.to_thread(TestVhost.make, servers, clients)
    keys = Keys()
    receiver = await Receiver.start(directory, keys.webhooks)
    stack = Stack(servers, database, vhost, directory, keys, receiver, {})
    try:
        for name, command in ((INGEST, (BIN / f"nexus-{INGEST}",)), (PROCESSOR, processor)):
            amqp_url = vhost.url_of(f"svc.{name}")
            if name in proxied:
                amqp_url = await _through_proxy(stack, name, amqp_url)
            environment = _settings(name, stack, amqp_url)
            stack.services[name] = [
                _program(name, number, command, environment, directory) for number in range(replicas)
            ]
        await stack.up()
        yield stack
    finally:
        await stack.close()
        await asyncio.to_thread(vhost.drop)


def _settings(name: str, stack: Stack, amqp_url: str) -> dict[str, str]:
    schema = name.replace("-", "_")
    return stack.keys.settings() | {
        "NEXUS_DATABASE_URL": stack.database.url_of(schema),
        "NEXUS_DATABASE_API_URL": stack.database.url_of(f"{schema}_api"),
        "NEXUS_AMQP_URL": amqp_url,
        "NEXUS_OUTBOUND_ALLOW": urlsplit(stack.receiver.url).netloc,
        "NEXUS_LOG_FORMAT": "console",
    }


def _program(
    name: str, number: int, command: Sequence[str | Path], environment: dict[str, str], directory: Path
) -> ServiceProgram:
    port = free_port()
    return ServiceProgram(
        f"{name}-{number}",
        command,
        environment | {"NEXUS_HTTP_PORT": str(port)},
        directory / f"{name}-{number}.log",
        port,
    )


async def _through_proxy(stack: Stack, name: str, amqp_url: str) -> str:
    at = urlsplit(amqp_url)
    proxy = stack.proxies[name] = FaultProxy(at.hostname or "", at.port or 0)
    await proxy.start()
    return amqp_url.replace(f":{at.port}/", f":{proxy.port}/")


def _base64(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()
