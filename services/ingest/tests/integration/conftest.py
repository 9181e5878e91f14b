"""The log with its stores and handlers, on a database of the test's own."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import nexus_ingest
from nexus_ingest.domain.frames import Recorded, lane_for
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers.appending import Appender
from nexus_ingest.handlers.quarantine import Quarantine
from nexus_ingest.handlers.reading import LogReader
from nexus_ingest.handlers.recording import Recorder
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.log import LogStore, Row
from nexus_ingest.store.quarantine import QuarantineStore
from nexus_ingest.store.relays import RelayStore
from nexus_shared.database import Database
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.databases import FreshDatabase, FreshDatabases

MIGRATIONS = Path(nexus_ingest.__file__).parent / "migrations"
MASTER = MasterKeys({"test": b"m" * 32})
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def a_row(
    event_id: str,
    *,
    tenant: str = "clinica-sul",
    source: str = "crm",
    subject: str | None = "lead/1",
    content: str = "{}",
    **changes: Any,
) -> Row:
    """An event as the append takes it; `content` decides its digest."""
    row = Row(
        lane=lane_for(tenant, subject, event_id),
        tenant_id=tenant,
        source=source,
        event_id=event_id,
        type="lead.created",
        is_known=True,
        schema_version=1,
        subject=subject,
        occurred_at=datetime.now(UTC),
        correlation_id=event_id,
        causation_id=None,
        hops=0,
        traceparent=None,
        data=content,
        sealed=None,
        key_id=None,
        digest=hashlib.sha256(content.encode()).digest(),
    )
    return row._replace(**changes)


class Instance:
    """What one process of ingest holds in memory, on a database that others share."""

    def __init__(self, database: Database, name: str = "test", master: MasterKeys = MASTER) -> None:
        self.appended = 0
        self.database = database
        self.log = LogStore(database, writer=name)
        self.relays = RelayStore(database, owner=name)
        self.keys = KeyStore(database)
        self.sealer = Sealer(self.keys, master)
        self.tail = Tail()
        self.reader = LogReader(self.log, self.sealer, self.tail)
        self.appender = Appender(self.log, self.tail, on_append=self._count)
        self.recorder = Recorder(
            self.appender,
            self.sealer,
            Quarantine(QuarantineStore(database), master),
            digest_key=master.derived("digest"),
            clock=lambda: datetime.now(UTC),
            window=timedelta(days=35),
        )

    def _count(self) -> None:
        self.appended += 1

    async def recorded(self) -> list[Recorded]:
        """Everything in the log, read back from the database and opened."""
        return await self.sealer.open(await self.log.after(0, BEGINNING, 10_000))


class Admin:
    """The superuser, who looks into everything and can pretend that time has passed."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.fetch = connection.fetch
        self.value = connection.fetchval

    @asynccontextmanager
    async def itself(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        yield self.connection

    async def unprotected(self, *statements: str) -> None:
        """Past the triggers that keep everybody from changing the log."""
        async with self.connection.transaction():
            await self.connection.execute("set local session_replication_role = replica")
            for statement in statements:
                await self.connection.execute(statement)

    async def checked_chain(self) -> int:
        """Verifies positions and block hashes; returns the number of events."""
        rows = await self.connection.fetch("select position, digest from automation_events order by position")
        digests = {row["position"]: row["digest"] for row in rows}
        previous, checked = b"\x00", []
        for block in await self.connection.fetch("select * from log_blocks order by last_position"):
            covered = range(block["first_position"], block["last_position"] + 1)
            text = previous + covered[0].to_bytes(8, "big") + covered[-1].to_bytes(8, "big")
            assert block["previous_hash"] == previous
            previous = hashlib.sha256(text + b"".join(digests[position] for position in covered)).digest()
            assert block["block_hash"] == previous
            checked += covered
        assert checked == [row["position"] for row in rows]
        assert await self.connection.fetchval("select last_block_hash from log_head") == previous
        return len(rows)


@pytest.fixture
async def ingest_database(fresh_database: FreshDatabases) -> FreshDatabase:
    return await fresh_database("ingest", MIGRATIONS)


@pytest.fixture
async def instances(ingest_database: FreshDatabase) -> AsyncIterator[Callable[..., Awaitable[Instance]]]:
    """A factory of instances, each with pools of its own."""
    opened: list[Database] = []

    async def make(name: str = "test", master: MasterKeys = MASTER, *, via: Sequence[str] = ()) -> Instance:
        urls = tuple(via) or (ingest_database.worker_url, ingest_database.api_url)
        opened.append(Database(*urls, service="ingest"))
        await opened[-1].open()
        return Instance(opened[-1], name, master)

    yield make
    for database in opened:
        await database.close()


@pytest.fixture
async def instance(instances: Callable[..., Awaitable[Instance]]) -> Instance:
    return await instances()


@pytest.fixture
async def admin(ingest_database: FreshDatabase) -> AsyncIterator[Admin]:
    connection = await asyncpg.connect(ingest_database.admin_url, server_settings={"search_path": "ingest"})
    yield Admin(connection)
    await connection.close()


@pytest.fixture
def row() -> Callable[..., Row]:
    return a_row
