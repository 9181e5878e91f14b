"""Keys of persons, wrapped. A destroyed key stays as a tombstone: what it sealed is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from nexus_shared.database import Database, across_tenants
from nexus_shared.ids import TenantId


class KeyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("batches, the relay and history reads hold events of many tenants")
    async def find(self, key_ids: Sequence[UUID]) -> Mapping[UUID, tuple[str, bytes | None]]:
        """key id -> (tenant, wrapped key, or None when it was destroyed); unknown ids are left out."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "select key_id, tenant_id, wrapped from subject_keys where key_id = any($1)", list(key_ids)
            )
        return {row["key_id"]: (row["tenant_id"], row["wrapped"]) for row in rows}

    async def destroy(self, tenant_id: TenantId, key_ids: Sequence[UUID]) -> int:
        """Erases for good; returns how many keys existed."""
        async with self._database.tenant(tenant_id) as connection:
            answer = await connection.execute(
                "update subject_keys set wrapped = null, destroyed_at = clock_timestamp()"
                " where tenant_id = $1 and key_id = any($2) and destroyed_at is null",
                tenant_id,
                list(key_ids),
            )
        return int(answer.split()[1])
