"""Where measurements take place: private servers, and for each measurement a database and a vhost of its own."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

import nexus_ingest
import nexus_trigger_processor
from benchmarks.costs import CpuMeter, cpu_seconds, family_cpu_seconds
from benchmarks.processes import SCRIPTS, HttpProcess, MeasurementInvalid, Process
from benchmarks.profiling import Profiler
from benchmarks.scale import Scale
from nexus_shared.access.tokens import TokenSigner, public_key_of
from nexus_shared.database.roles import schema_of
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.databases import FreshDatabase, FreshDatabases
from nexus_shared.testing.processes import free_port
from nexus_shared.testing.provision import Servers
from nexus_shared.testing.servers import PrivateServers
from nexus_shared.topology import service_user

Admin: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

INGEST_MIGRATIONS = Path(nexus_ingest.__path__[0]) / "migrations"
TRIGGER_MIGRATIONS = Path(nexus_trigger_processor.__path__[0]) / "migrations"
MASTER_KEY = secrets.token_bytes(32)
TOKEN_SEED = secrets.token_bytes(32)
UNLIMITED = "1000000000"


@dataclass(frozen=True)
class Place:
    """A migrated database and a vhost with the topology, both empty. `admin` is a superuser's connection."""

    database: FreshDatabase
    vhost: TestVhost
    admin: Admin
    private: PrivateServers
    logs: Path

    def environment(self, service: str, **settings: str) -> dict[str, str]:
        """The settings of a service; the rate limit per key is out of the way unless given."""
        schema = schema_of(service)
        return {
            **os.environ,
            "NEXUS_DATABASE_URL": self.database.url_of(schema),
            "NEXUS_DATABASE_API_URL": self.database.url_of(f"{schema}_api"),
            "NEXUS_AMQP_URL": self.vhost.url_of(service_user(service)),
            "NEXUS_MASTER_KEYS": f"bench:{base64.b64encode(MASTER_KEY).decode()}",
            "NEXUS_TOKEN_SIGNING_KEY": base64.b64encode(TOKEN_SEED).decode(),
            "NEXUS_TOKEN_PUBLIC_KEYS": f"bench:{base64.urlsafe_b64encode(public_key_of(TOKEN_SEED)).decode()}",
            "NEXUS_PUBLISH_RATE": UNLIMITED,
            "NEXUS_PUBLISH_BURST": UNLIMITED,
            "NEXUS_LOG_LEVEL": "WARNING",
            **settings,
        }

    def service(self, name: str, **settings: str) -> HttpProcess:
        """A service as `nexus up` starts it, on a free port; not yet running."""
        port = free_port()
        environment = self.environment(name, NEXUS_HTTP_PORT=str(port), **settings)
        return HttpProcess(
            name, [str(SCRIPTS / f"nexus-{name}")], environment, self.logs / f"{name}.log", port
        )

    def meter(self, *processes: Process) -> CpuMeter:
        """The CPU of these processes and of both servers."""
        postgres, rabbitmq = self.private.postgres_pid, self.private.rabbitmq_pid
        assert postgres and rabbitmq, "the servers are down"
        readings = {process.name: lambda pid=process.pid: cpu_seconds(pid) for process in processes}
        servers = {
            "postgres": lambda: family_cpu_seconds(postgres),
            "rabbitmq": lambda: cpu_seconds(rabbitmq),
        }
        return CpuMeter(readings | servers)

    async def value(self, query: str, *arguments: Any) -> Any:
        return await self.admin.fetchval(query, *arguments)

    async def settle(self) -> None:
        """Pays for what was prepared, so that the measurement does not."""
        await self.admin.execute("checkpoint")
        await asyncio.sleep(1)


def master_keys() -> MasterKeys:
    return MasterKeys({"bench": MASTER_KEY})


def token_signer() -> TokenSigner:
    return TokenSigner("bench", TOKEN_SEED)


@dataclass
class Stage:
    """The servers of this run, and what every measurement is told."""

    private: PrivateServers
    servers: Servers
    databases: FreshDatabases
    scale: Scale
    build: Path
    profiler: Profiler
    has_fanout: bool = False

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """A fresh place, gone afterwards."""
        database = await self.database()
        vhost = await asyncio.to_thread(TestVhost.make, self.servers)
        admin = await asyncpg.connect(database.admin_url)
        try:
            yield Place(database, vhost, admin, self.private, self.logs)
        finally:
            await admin.close()
            await asyncio.to_thread(vhost.drop)
            await self.databases.drop_clones()

    async def database(self) -> FreshDatabase:
        """Only a database, gone after the next `drop_clones`."""
        return await self.databases(
            "ingest", INGEST_MIGRATIONS, also={"trigger_processor": TRIGGER_MIGRATIONS}
        )

    @property
    def logs(self) -> Path:
        logs = self.build / "bench-logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs


@contextmanager
def private_servers() -> Iterator[PrivateServers]:
    """PostgreSQL and RabbitMQ in a directory of their own, removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="nexus-bench-", dir="/var/tmp"))
    directory.chmod(0o711)
    private = PrivateServers(directory)
    try:
        private.up()
        yield private
    finally:
        private.down()
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def stage_on(
    private: PrivateServers, scale: Scale, build: Path, profiler: Profiler, *, has_fanout: bool
) -> AsyncIterator[Stage]:
    urls = private.urls
    servers = Servers(urls.database, urls.amqp, private, private)
    databases = FreshDatabases(urls.database)
    shutil.rmtree(build / "bench-logs", ignore_errors=True)
    try:
        yield Stage(private, servers, databases, scale, build, profiler, has_fanout)
    finally:
        await databases.drop_all()


async def durability(database_url: str) -> str:
    """What PostgreSQL says about itself; raises MeasurementInvalid when it would not survive a power cut."""
    connection = await asyncpg.connect(database_url)
    try:
        shown = {
            name: await connection.fetchval(f"show {name}")
            for name in ("fsync", "synchronous_commit", "full_page_writes", "server_version")
        }
    finally:
        await connection.close()
    if (shown["fsync"], shown["synchronous_commit"]) != ("on", "on"):
        raise MeasurementInvalid(f"PostgreSQL is not durable: {shown}")
    return "PostgreSQL " + ", ".join(f"{name} {value}" for name, value in shown.items())
