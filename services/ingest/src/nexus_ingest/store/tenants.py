"""Tenants and their settings. What changed is told to everybody as a fact; `telling` keeps both in step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from nexus_shared.database import Connection, Database, across_tenants
from nexus_shared.ids import TenantId

_FIELDS = "tenant_id, name, settings, is_active, revision, created_at, updated_at"


class Tenant(NamedTuple):
    """A clinic. `revision` counts its configurations."""

    tenant_id: TenantId
    name: str
    settings: Mapping[str, Any]
    is_active: bool
    revision: int
    created_at: datetime
    updated_at: datetime


class TenantStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("the platform makes tenants")
    async def create(self, tenant_id: TenantId, name: str, settings: Mapping[str, Any]) -> Tenant | None:
        """None when there is one of this id."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                f"insert into tenants (tenant_id, name, settings) values ($1, $2, $3)"
                f" on conflict do nothing returning {_FIELDS}",
                tenant_id,
                name,
                orjson.dumps(settings).decode(),
            )
        return _tenant(row) if row else None

    @across_tenants("the platform lists tenants")
    async def page(self, *, after: str | None, limit: int) -> Sequence[Tenant]:
        """By id."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"select {_FIELDS} from tenants where tenant_id > $1 order by tenant_id limit $2",
                after or "",
                limit,
            )
        return [_tenant(row) for row in rows]

    async def tenant(self, tenant_id: TenantId) -> Tenant | None:
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(
                f"select {_FIELDS} from tenants where tenant_id = $1",
                tenant_id,
            )
        return _tenant(row) if row else None

    @asynccontextmanager
    async def changing(self, tenant_id: TenantId) -> AsyncIterator[Change | None]:
        """The tenant, locked: whoever else wants to change it waits. None when there is no such tenant."""
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(
                f"select {_FIELDS} from tenants where tenant_id = $1 for update",
                tenant_id,
            )
            yield Change(connection, _tenant(row)) if row else None

    @asynccontextmanager
    async def telling(self, tenant_id: TenantId) -> AsyncIterator[Tenant | None]:
        """The tenant, locked, if its newest revision has not been told; told it is when the block ends well."""
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(
                f"select {_FIELDS} from tenants where tenant_id = $1 and told_revision < revision for update",
                tenant_id,
            )
            yield _tenant(row) if row else None
            if row:
                await connection.execute(
                    "update tenants set told_revision = $2 where tenant_id = $1", tenant_id, row["revision"]
                )

    @across_tenants("a crash leaves untold settings of any tenant")
    async def untold(self, limit: int) -> list[TenantId]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "select tenant_id from tenants where told_revision < revision order by tenant_id limit $1",
                limit,
            )
        return [row["tenant_id"] for row in rows]


class Change:
    """A tenant held for a change; what is not saved stays as it was."""

    def __init__(self, connection: Connection, tenant: Tenant) -> None:
        self._connection, self.tenant = connection, tenant

    async def save(self, name: str, settings: Mapping[str, Any]) -> Tenant:
        """The next revision."""
        row = await self._connection.fetchrow(
            f"update tenants set name = $2, settings = $3, revision = revision + 1, updated_at = clock_timestamp()"
            f" where tenant_id = $1 returning {_FIELDS}",
            self.tenant.tenant_id,
            name,
            orjson.dumps(settings).decode(),
        )
        return _tenant(row)


def _tenant(row: Any) -> Tenant:
    return Tenant(*row)._replace(settings=orjson.loads(row["settings"]))
