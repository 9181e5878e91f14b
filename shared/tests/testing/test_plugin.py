"""The fixtures: servers, vhost, databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aio_pika
import aiormq
import asyncpg
import pytest

from nexus_shared import topology
from nexus_shared.ids import TenantId
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.databases import FreshDatabases
from nexus_shared.testing.plugin import fit_or_skip
from nexus_shared.testing.processes import ServerNotFit
from nexus_shared.testing.provision import TestSettings, provide

pytestmark = pytest.mark.integration


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "0001_make_patients.sql").write_text(
        "create table patients (id int); grant select, insert on patients to clinic"
    )
    return tmp_path


async def test_a_fresh_database_is_migrated_and_empty_every_time(
    fresh_database: FreshDatabases, migrations: Path
) -> None:
    first = await fresh_database("clinic", migrations)
    second = await fresh_database("clinic", migrations)

    for database in (first, second):
        connection = await asyncpg.connect(database.worker_url)
        await connection.execute("insert into patients values (1)")
        assert await connection.fetchval("select count(*) from patients") == 1
        await connection.close()
    assert first.name != second.name


async def test_the_two_roles_of_a_database_are_different(
    fresh_database: FreshDatabases, migrations: Path
) -> None:
    database = await fresh_database("clinic", migrations)
    connection = await asyncpg.connect(database.api_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetchval("select count(*) from patients")
    await connection.close()


async def test_a_service_reads_its_queue_in_the_vhost_of_the_session(vhost: TestVhost) -> None:
    connection = await aio_pika.connect(vhost.url_of("svc.ingest"))
    channel = await connection.channel()
    queue = await channel.get_queue(topology.RECORD_QUEUE)
    assert queue.declaration_result.message_count == 0
    await connection.close()


async def test_a_publisher_stays_in_its_tenant(fresh_vhost: Callable[..., TestVhost]) -> None:
    client = topology.ClientUser("pub", TenantId("clinica-sul"), "crm", "secret-of-the-test")
    made = fresh_vhost(client)

    connection = await aio_pika.connect(made.url_of(client.user))
    channel = await connection.channel(on_return_raises=True)
    inbound = await channel.get_exchange(topology.INBOUND, ensure=False)
    await inbound.publish(aio_pika.Message(b"{}"), "clinica-sul.lead.created")
    with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
        await inbound.publish(aio_pika.Message(b"{}"), "clinica-norte.lead.created")
    await connection.close()


def test_half_given_servers_are_refused() -> None:
    settings = TestSettings(nexus_test_database_url="postgresql://127.0.0.1/x", nexus_test_amqp_url=None)
    with pytest.raises(ServerNotFit, match="Set both"), provide(settings):
        pass


def test_given_servers_are_taken_as_they_are() -> None:
    settings = TestSettings(
        nexus_test_database_url="postgresql://a:b@127.0.0.1:1/x",
        nexus_test_amqp_url="amqp://c:d@127.0.0.1:2/",
    )
    with provide(settings) as servers:
        assert servers.private is None
        assert (
            servers.amqp_url_of("nexus", "svc.ingest", "p/w") == "amqp://svc.ingest:p%2Fw@127.0.0.1:2/nexus"
        )
        with pytest.raises(ServerNotFit, match="NEXUS_TEST_AMQP_API_URL"):
            servers.broker.delete_vhost("nexus")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_server_skips_a_test_and_fails_it_in_ci(ci: str, outcome: type[BaseException]) -> None:
    settings = TestSettings(
        nexus_test_database_url="postgresql://127.0.0.1/x", nexus_test_amqp_url=None, ci=ci
    )
    with pytest.raises(outcome, match="Set both"), fit_or_skip(settings):
        pass
