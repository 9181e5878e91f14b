"""An empty database with the roles of one schema."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from nexus_shared.database import Database
from nexus_shared.database.roles import ServiceRoles, ensure_database, prepare
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.faultproxy import FaultProxy
from nexus_shared.testing.provision import Servers


@dataclass(frozen=True)
class Blank:
    """`admin_url` is the superuser's; the schema has its roles and nothing in it."""

    admin_url: str
    roles: ServiceRoles

    @property
    def schema(self) -> str:
        return self.roles.schema

    def url_of(self, role: str, password: str) -> str:
        at = urlsplit(self.admin_url)
        return f"postgresql://{role}:{quote(password)}@{at.hostname}:{at.port}{at.path}"

    @property
    def worker_url(self) -> str:
        return self.url_of(self.roles.worker, self.roles.worker_password)

    @property
    def api_url(self) -> str:
        return self.url_of(self.roles.api, self.roles.api_password)

    async def execute(self, *statements: str, url: str | None = None) -> None:
        """As the superuser, or whoever `url` names."""
        connection = await asyncpg.connect(url or self.admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def rows(self, query: str, *arguments: object) -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(self.admin_url, server_settings={"search_path": self.schema})
        try:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()


@pytest.fixture
async def blank(servers: Servers) -> AsyncIterator[Blank]:
    name = f"blank_{secrets.token_hex(4)}"
    url = servers.database_url_of(name)
    await ensure_database(servers.database_url, name)
    roles = ServiceRoles(name, 'it\'s "secret"', "api")
    await prepare(url, roles)
    yield Blank(url, roles)
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'drop database "{name}" with (force)')
    for role in (roles.worker, roles.api, roles.owner):
        await admin.execute(f'drop role "{role}"')
    await admin.close()


@pytest.fixture
async def opened(blank: Blank) -> AsyncIterator[Callable[..., Awaitable[Database]]]:
    """A factory of open pools on the blank database."""
    made: list[Database] = []

    async def make(worker_url: str = "", api_url: str = "") -> Database:
        database = Database(worker_url or blank.worker_url, api_url or blank.api_url, service="test")
        made.append(database)
        await database.open()
        return database

    yield make
    for database in made:
        await database.close()


@pytest.fixture
async def proxied(vhost: TestVhost) -> AsyncIterator[tuple[FaultProxy, str]]:
    """A misbehaving way to the broker, and the administrator's address behind it."""
    at = urlsplit(vhost.url)
    async with FaultProxy(at.hostname or "", at.port or 0) as proxy:
        yield proxy, vhost.url.replace(f":{at.port}/", f":{proxy.port}/")
