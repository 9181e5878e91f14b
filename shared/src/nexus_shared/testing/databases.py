"""A migrated database per test: cloned from a template that is migrated once per session."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg

from nexus_shared.database import roles
from nexus_shared.database.migrations import migrate
from nexus_shared.testing.provision import password_for


@dataclass(frozen=True)
class FreshDatabase:
    """`admin_url` is the superuser's; `worker_url` and `api_url` are the two roles of `schema`."""

    name: str
    schema: str
    admin_url: str
    passwords: Mapping[str, str]

    @property
    def worker_url(self) -> str:
        return self.url_of(self.schema)

    @property
    def api_url(self) -> str:
        return self.url_of(f"{self.schema}_api")

    def url_of(self, role: str) -> str:
        at = urlsplit(self.admin_url)
        return f"postgresql://{role}:{quote(self.passwords[role])}@{at.hostname}:{at.port}/{self.name}"


class FreshDatabases:
    """`await databases("ingest", migrations)` answers with a FreshDatabase; its template is made once per set."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._session = secrets.token_hex(4)
        self._templates: dict[tuple[tuple[str, Path], ...], str] = {}
        self._clones: list[str] = []
        self._passwords: dict[str, str] = {}

    async def __call__(
        self, schema: str, migrations: Path, *, also: Mapping[str, Path] | None = None
    ) -> FreshDatabase:
        """A database with `schema` (and the schemas of `also`) migrated and nothing in them."""
        schemas = ((schema, migrations), *sorted((also or {}).items()))
        if schemas not in self._templates:
            self._templates[schemas] = await self._make_template(schemas)
        name = f"test_{self._session}_{secrets.token_hex(4)}"
        await self._execute(f'create database "{name}" template "{self._templates[schemas]}"')
        self._clones.append(name)
        await self._execute(*self._grants(name, schemas))
        return FreshDatabase(name, schema, self._url_of(name), self._passwords)

    async def drop_clones(self) -> None:
        while self._clones:
            await self._execute(f'drop database if exists "{self._clones.pop()}" with (force)')

    async def drop_all(self) -> None:
        await self.drop_clones()
        for template in self._templates.values():
            await self._execute(f'drop database if exists "{template}" with (force)')
        self._templates.clear()

    async def _make_template(self, schemas: tuple[tuple[str, Path], ...]) -> str:
        name = f"template_{self._session}_{len(self._templates)}"
        await roles.ensure_database(self._admin_url, name)
        for schema, migrations in schemas:
            worker, api = (password_for(self._admin_url, role) for role in (schema, f"{schema}_api"))
            self._passwords |= {schema: worker, f"{schema}_api": api}
            await roles.prepare(self._url_of(name), roles.ServiceRoles(schema, worker, api))
            await migrate(self._url_of(name), schema, migrations)
        return name

    def _grants(self, name: str, schemas: tuple[tuple[str, Path], ...]) -> list[str]:
        """A clone has the template's contents but not its own privileges."""
        granted = [f'grant connect on database "{name}" to "{s}", "{s}_api"' for s, _ in schemas]
        return [f'revoke all on database "{name}" from public', *granted]

    def _url_of(self, name: str) -> str:
        return self._admin_url.rsplit("/", 1)[0] + f"/{name}"

    async def _execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(self._admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()
