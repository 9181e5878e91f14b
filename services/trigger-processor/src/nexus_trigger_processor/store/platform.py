"""What this service keeps of other services' facts: tenants' settings and revoked keys; and who reads how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from nexus_shared.database import Connection, Database, across_tenants


class PlatformStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("a lane carries subjects of all tenants")
    async def configure(
        self, connection: Connection, tenant_id: str, settings: Mapping[str, Any], position: int
    ) -> None:
        """Keeps a tenant's newest settings."""
        await connection.execute(
            "insert into tenants (tenant_id, settings, position) values ($1, $2, $3)"
            " on conflict (tenant_id) do update set settings = excluded.settings, position = excluded.position,"
            " updated_at = clock_timestamp() where tenants.position < excluded.position",
            tenant_id,
            orjson.dumps(settings).decode(),
            position,
        )

    @across_tenants("keys of all tenants are checked in one place")
    async def revoke(self, connection: Connection, jtis: Sequence[str]) -> None:
        await connection.execute(
            "insert into revoked_keys (jti) select unnest($1::text[]) on conflict do nothing", list(jtis)
        )

    @across_tenants("keys of all tenants are checked in one place")
    async def revoked(self) -> list[str]:
        async with self._database.connection() as connection:
            return [row["jti"] for row in await connection.fetch("select jti from revoked_keys")]

    @across_tenants("settings are kept in memory for all tenants")
    async def settings(self) -> dict[str, Mapping[str, Any]]:
        async with self._database.connection() as connection:
            rows = await connection.fetch("select tenant_id, settings from tenants")
        return {row["tenant_id"]: orjson.loads(row["settings"]) for row in rows}

    @across_tenants("lanes carry all tenants")
    async def lane_positions(self) -> list[int]:
        """How far each lane has been processed."""
        async with self._database.connection() as connection:
            return [
                row["position"] for row in await connection.fetch("select position from lanes order by lane")
            ]

    @across_tenants("partitions hold all tenants")
    async def make_partitions(self, weeks_ahead: int) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "select create_partitions(week, week + interval '1 week') from generate_series("
                "date_trunc('week', now(), 'UTC'), date_trunc('week', now(), 'UTC') + $1 * interval '1 week',"
                " interval '1 week') as week",
                weeks_ahead,
            )

    @across_tenants("partitions hold all tenants")
    async def detach_partitions(self, before: datetime) -> list[str]:
        """Detaches partitions that end before `before`; they stay as tables until an operator drops them."""
        async with self._database.connection() as connection:
            return [row[0] for row in await connection.fetch("select detach_partitions($1)", before)]
