"""Servers that are ours to kill, and one platform on them for all fault tests of a session.

Each test breaks something under load, waits until everything is done with, and checks every promise about everything
that was ever published: also that the faults before were healed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.harness.breakable import breakable_servers
from tests.harness.stack import INGEST, PROCESSOR, TENANTS, Stack, a_stack
from tests.harness.triggers import every_lead, leads_from_ads

from nexus_shared.testing.databases import FreshDatabases
from nexus_shared.testing.processes import ServerNotFit
from nexus_shared.testing.provision import Servers, TestSettings


@pytest.fixture(scope="session")
def breakable() -> Iterator[Servers]:
    """PostgreSQL and RabbitMQ that no other test uses."""
    try:
        with breakable_servers() as servers:
            yield servers
    except ServerNotFit as reason:
        if TestSettings().ci:
            pytest.fail(f"In CI a missing server is a failure. {reason}")
        pytest.skip(str(reason))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def breakable_databases(breakable: Servers) -> AsyncIterator[FreshDatabases]:
    databases = FreshDatabases(breakable.database_url)
    yield databases
    await databases.drop_all()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_stack(
    breakable: Servers, breakable_databases: FreshDatabases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    directory = tmp_path_factory.mktemp("faults")
    async with a_stack(breakable, breakable_databases, directory, proxied=(INGEST, PROCESSOR)) as running:
        for tenant in TENANTS:
            await running.publish(every_lead(tenant))
        await running.publish(leads_from_ads(TENANTS[0]))
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def stack(shared_stack: Stack) -> AsyncIterator[Stack]:
    """The platform, whole again whatever the test before did to it."""
    shared_stack.private.start_postgres()
    shared_stack.private.start_rabbitmq()
    for proxy in shared_stack.proxies.values():
        proxy.heal()
    await shared_stack.receiver.behave()
    await shared_stack.up()
    yield shared_stack
