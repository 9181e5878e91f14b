"""Fixtures of pytest: servers, a vhost with our topology, a fresh database per test.

Servers come from the settings if given (`NEXUS_TEST_DATABASE_URL`, `NEXUS_TEST_AMQP_URL` and, for imports of
definitions, `NEXUS_TEST_AMQP_API_URL`), else from containers where a Docker engine answers, else they are started
privately from local binaries. In CI a missing server fails the test; elsewhere it skips it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from nexus_shared import topology
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.databases import FreshDatabases
from nexus_shared.testing.processes import ServerNotFit
from nexus_shared.testing.provision import Servers, TestSettings, provide


@contextmanager
def fit_or_skip(settings: TestSettings) -> Iterator[Servers]:
    """The servers; where there are none the test is skipped, in CI it fails."""
    try:
        with provide(settings) as servers:
            yield servers
    except ServerNotFit as reason:
        if settings.is_ci:
            pytest.fail(f"In CI a missing server is a failure. {reason}")
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and RabbitMQ for this session, with administrator rights."""
    with fit_or_skip(TestSettings()) as provided:
        yield provided


@pytest.fixture(scope="session")
def postgres_admin_url(servers: Servers) -> str:
    return servers.database_url


@pytest.fixture(scope="session")
def amqp_admin_url(servers: Servers) -> str:
    return servers.amqp_url


@pytest.fixture(scope="session")
def vhost(servers: Servers) -> Iterator[TestVhost]:
    """One vhost with our topology for the whole session: its queues keep what a test leaves in them."""
    made = TestVhost.make(servers)
    yield made
    made.drop()


@pytest.fixture
def fresh_vhost(servers: Servers) -> Iterator[Callable[..., TestVhost]]:
    """A factory of vhosts with our topology and empty queues, dropped after the test; about 2 s each."""
    made: list[TestVhost] = []

    def make(*clients: topology.ClientUser) -> TestVhost:
        made.append(TestVhost.make(servers, clients))
        return made[-1]

    yield make
    for each in made:
        each.drop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_templates(servers: Servers) -> AsyncIterator[FreshDatabases]:
    templates = FreshDatabases(servers.database_url)
    yield templates
    await templates.drop_all()


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_database(database_templates: FreshDatabases) -> AsyncIterator[FreshDatabases]:
    """`await fresh_database("ingest", migrations)`: a migrated database of this test's own, dropped afterwards."""
    yield database_templates
    await database_templates.drop_clones()
