"""One platform for all end-to-end tests of a session: a service of each kind, on the session's servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.harness.stack import Stack, a_stack

from nexus_shared.testing.databases import FreshDatabases
from nexus_shared.testing.provision import Servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(
    servers: Servers, database_templates: FreshDatabases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Two replicas of each service."""
    directory = tmp_path_factory.mktemp("e2e")
    async with a_stack(servers, database_templates, directory, replicas=2) as running:
        yield running
