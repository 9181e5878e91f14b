"""Alarms: what lies where nothing should ever lie is logged and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import asyncpg
import pytest
from structlog.testing import capture_logs

from nexus_ingest.handlers.watching import Watch
from nexus_ingest.meters import Meters
from nexus_ingest.store.progress import ProgressStore
from nexus_shared import topology
from nexus_shared.database import Database
from nexus_shared.observability.metrics import new_registry

pytestmark = pytest.mark.integration

STRAY = """
    insert into ingest.automation_events (position, recorded_at, lane, tenant_id, source, event_id, type, is_known,
        schema_version, occurred_at, correlation_id, hops, data, digest)
    values (1, '2099-01-01Z', 0, 'clinica-sul', 'crm', 'e-1', 'lead.created', true, 1, now(), 'e-1', 0, '{}', '\\x00')
"""


@pytest.fixture
def registry() -> Any:
    return new_registry("ingest")


@pytest.fixture
async def database(fresh_database: Any, migrations: Any) -> AsyncIterator[tuple[Database, str]]:
    """A log of its own, and the superuser's address of it."""
    clone = await fresh_database("ingest", migrations)
    database = Database(clone.worker_url, clone.api_url, service="ingest")
    await database.open()
    yield database, clone.admin_url
    await database.close()


async def test_all_is_quiet_at_first(database: Any, ingest: Any, registry: Any) -> None:
    watch = Watch(ProgressStore(database[0]), Meters(registry), ingest.vhost.url_of("svc.ingest"))

    with capture_logs() as lines:
        await watch.alarms()
        await watch.lags()

    assert lines == []
    assert registry.get_sample_value("nexus_relay_lag_events", {"relay": "log"}) == 0


async def test_a_row_outside_every_partition_raises_an_alarm(
    database: Any, ingest: Any, registry: Any
) -> None:
    pool, admin_url = database
    admin = await asyncpg.connect(admin_url)
    await admin.execute(STRAY)
    await admin.close()

    with capture_logs() as lines:
        await Watch(ProgressStore(pool), Meters(registry), ingest.vhost.url_of("svc.ingest")).alarms()

    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("default_partition_holds_rows", "error")
    ]


async def test_a_message_that_no_queue_takes_raises_an_alarm(
    database: Any, ingest: Any, registry: Any
) -> None:
    connection = await aio_pika.connect(ingest.vhost.url)
    async with connection:
        channel = await connection.channel()
        commands = await channel.get_exchange(topology.COMMANDS, ensure=False)
        await commands.publish(aio_pika.Message(b"{}"), "nobody.listens")

        with capture_logs() as lines:
            await Watch(
                ProgressStore(database[0]), Meters(registry), ingest.vhost.url_of("svc.ingest")
            ).alarms()

        await (await channel.get_queue(topology.UNROUTED_QUEUE, ensure=False)).purge()
    assert [(line["event"], line["messages"]) for line in lines] == [("messages_unrouted", 1)]
    assert registry.get_sample_value("nexus_unrouted_events") == 1


async def test_a_relay_that_is_behind_shows_its_lag(database: Any, ingest: Any, registry: Any) -> None:
    pool, admin_url = database
    admin = await asyncpg.connect(admin_url)
    await admin.execute(
        "update ingest.log_head set last_position = 90, last_recorded_at = now();"
        "update ingest.relays set position = 30, recorded_at = now() - interval '5 s' where name = 'log'"
    )
    await admin.close()

    await Watch(ProgressStore(pool), Meters(registry), ingest.vhost.url_of("svc.ingest")).lags()

    assert registry.get_sample_value("nexus_relay_lag_events", {"relay": "log"}) == 60
    assert registry.get_sample_value("nexus_relay_lag_seconds", {"relay": "log"}) == pytest.approx(5, abs=1)
