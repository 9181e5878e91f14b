"""Keys of persons, wrapped. A destroyed key stays as a tombstone: what it sealed is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from nexus_shared.database import Database, across_tenants
from nexus_shared.ids import TenantId

_ENSURE = """
    with wanted as (
        select * from unnest($1::uuid[], $2::text[], $3::bytea[]) as t (key_id, tenant_id, wrapped)
    ), made as (
        insert into subject_keys (key_id, tenant_id, wrapped) select key_id, tenant_id, wrapped from wanted
        on conflict do nothing returning key_id, wrapped
    )
    select key_id, wrapped from made
    union all
    select k.key_id, k.wrapped from subject_keys k join wanted using (key_id)
"""


class KeyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("one batch holds events of many tenants")
    async def ensure(self, proposals: Sequence[tuple[UUID, str, bytes]]) -> dict[UUID, bytes | None]:
        """(key id, tenant, wrapped key) each: keeps the first that was ever proposed. None = destroyed.

        A key that another instance makes at the same moment can be missing from the answer: ask again.
        """
        columns = [list(column) for column in zip(*proposals, strict=True)]
        async with self._database.connection() as connection:
            return {row["key_id"]: row["wrapped"] for row in await connection.fetch(_ENSURE, *columns)}

    @across_tenants("the relay and history reads open events of many tenants")
    async def find(self, key_ids: Sequence[UUID]) -> Mapping[UUID, tuple[str, bytes | None]]:
        """key id -> (tenant, wrapped key or None)."""
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
