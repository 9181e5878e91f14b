"""Whoever changes what was recorded, with every right and every trigger switched off, is still found out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

import nexus_ingest
from nexus_ingest.domain.door import Publisher
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers.appending import Appender
from nexus_ingest.handlers.quarantine import Quarantine
from nexus_ingest.handlers.recording import Recorder
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.log import LogStore
from nexus_ingest.store.quarantine import QuarantineStore
from nexus_shared import strict_json
from nexus_shared.database import Database
from nexus_shared.ids import TenantId
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.builders import TENANT, a_lead_created, an_appointment_scheduled
from nexus_shared.testing.databases import FreshDatabases

pytestmark = pytest.mark.integration

MIGRATIONS = Path(nexus_ingest.__file__).parent / "migrations"
START = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("set data = replace(data, 'novo', 'velho') where position = 1", [1]),
        ("set sealed = substr(sealed, 1, 40) where position = 1", [1]),
        ("set type = 'lead.lost' where position = 1", [1]),
        ("set subject = 'lead/other' where position = 1", [1]),
        ("set hops = 3 where position = 2", []),  # not content: the chain's digests do not cover it
    ],
)
async def test_a_row_changed_behind_our_back_no_longer_fits_its_digest(
    fresh_database: FreshDatabases, change: str, expected: list[int]
) -> None:
    place = await fresh_database("ingest", MIGRATIONS)
    database = Database(place.worker_url, place.api_url, service="test")
    await database.open()
    try:
        master = MasterKeys({"k1": bytes(32)})
        log, sealer = LogStore(database, "test"), Sealer(KeyStore(database), master)
        recorder = Recorder(
            Appender(log, Tail(), on_append=lambda: None),
            sealer,
            Quarantine(QuarantineStore(database), master),
            digest_key=master.derived("digest"),
            clock=lambda: datetime.now(UTC),
            window=timedelta(days=35),
        )
        events = [a_lead_created(), an_appointment_scheduled()]
        await recorder.record(
            [strict_json.inspect(event.as_dict()) for event in events], Publisher("crm", TenantId(TENANT))
        )
        assert await sealer.changed(await log.after(0, START, 10), master.derived("digest")) == []
        admin = await asyncpg.connect(place.admin_url)
        await admin.execute("set session_replication_role = replica")  # no trigger speaks up
        await admin.execute(f"update ingest.automation_events {change}")
        await admin.close()
        assert await sealer.changed(await log.after(0, START, 10), master.derived("digest")) == expected
    finally:
        await database.close()
