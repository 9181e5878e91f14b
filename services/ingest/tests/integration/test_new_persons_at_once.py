"""A person met for the first time by several requests at once has one key, and everything sealed opens again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import asyncpg
import orjson
import pytest
import pytest_asyncio

import nexus_ingest
from nexus_ingest.domain.door import Publisher
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers.appending import Appender
from nexus_ingest.handlers.quarantine import Quarantine
from nexus_ingest.handlers.reading import LogReader
from nexus_ingest.handlers.recording import Recorder
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.log import LogStore
from nexus_ingest.store.quarantine import QuarantineStore
from nexus_shared import strict_json
from nexus_shared.database import Database
from nexus_shared.ids import TenantId
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.builders import TENANT, a_lead_created
from nexus_shared.testing.databases import FreshDatabases

pytestmark = pytest.mark.integration

MIGRATIONS = Path(nexus_ingest.__file__).parent / "migrations"
CRM = Publisher("crm", TenantId(TENANT))
IDS = [f"e-{n}" for n in range(20)]
NAMES = {"busy": "Bia"} | {id: f"Ana {id}" for id in IDS}


class Instance:
    """What one process of ingest records with, and a reader that has nothing in memory."""

    def __init__(self, database: Database) -> None:
        master = MasterKeys({"k1": bytes(32)})
        log = LogStore(database, "test")
        self.sealer = Sealer(KeyStore(database), master)
        self.recorder = Recorder(
            Appender(log, Tail(), on_append=lambda: None),
            self.sealer,
            Quarantine(QuarantineStore(database), master),
            digest_key=master.derived("digest"),
            clock=lambda: datetime.now(UTC),
            window=timedelta(days=35),
        )
        self.reader = LogReader(log, Sealer(KeyStore(database), master), Tail())

    async def record(self, event_id: str, name: str, person: int = 1) -> str:
        event = a_lead_created(number=person, id=event_id, data={"name": name})
        (verdict,) = await self.recorder.record([strict_json.inspect(event.as_dict())], CRM)
        assert verdict.answer is not None, verdict.refused
        return verdict.answer.status

    async def names(self) -> dict[str, str]:
        """What the log tells by event id, opened."""
        events = await self.reader.follow(0, datetime(2000, 1, 1, tzinfo=UTC), 1000)
        return {event.event_id: orjson.loads(event.json)["data"]["name"] for event in events}


@dataclass(frozen=True)
class Place:
    """A database with the log in it, and the superuser's address of it."""

    database: Database
    admin_url: str

    def instance(self) -> Instance:
        return Instance(self.database)

    @asynccontextmanager
    async def slow_append(self, ingest: Instance) -> AsyncIterator[None]:
        """The log is busy inside: what is recorded meanwhile gathers behind one append."""
        admin = await asyncpg.connect(self.admin_url)
        try:
            async with admin.transaction():
                await admin.execute("select from ingest.log_head for update")
                busy = asyncio.create_task(ingest.record("busy", "Bia", person=2))
                await asyncio.sleep(0.3)
                yield
                await asyncio.sleep(0.3)
            await busy
        finally:
            await admin.close()


@pytest_asyncio.fixture
async def place(fresh_database: FreshDatabases) -> AsyncIterator[Place]:
    clone = await fresh_database("ingest", MIGRATIONS)
    database = Database(clone.worker_url, clone.api_url, service="ingest")
    await database.open()
    yield Place(database, clone.admin_url)
    await database.close()


async def test_requests_that_meet_a_new_person_together_seal_with_one_key(place: Place) -> None:
    ingest = place.instance()

    async with place.slow_append(ingest):
        recording = [asyncio.create_task(ingest.record(id, f"Ana {id}")) for id in IDS]

    assert set(await asyncio.gather(*recording)) == {"stored"}
    assert await ingest.names() == NAMES


async def test_two_instances_that_meet_a_new_person_together_seal_with_one_key(place: Place) -> None:
    here, there = place.instance(), place.instance()

    async with place.slow_append(here):
        pairs = zip(IDS, cycle((here, there)), strict=False)
        recording = [asyncio.create_task(at.record(id, f"Ana {id}")) for id, at in pairs]

    assert set(await asyncio.gather(*recording)) == {"stored"}
    assert await here.names() == NAMES


async def test_keys_that_were_forgotten_while_events_wait_do_not_spoil_them(place: Place) -> None:
    ingest = place.instance()

    async with place.slow_append(ingest):
        recording = []
        for id in IDS:
            recording.append(asyncio.create_task(ingest.record(id, f"Ana {id}")))
            await asyncio.sleep(0.02)
            ingest.sealer.forget_new()  # as after an append that failed

    assert set(await asyncio.gather(*recording)) == {"stored"}
    assert await ingest.names() == NAMES
