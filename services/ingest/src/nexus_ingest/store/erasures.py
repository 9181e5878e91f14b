"""When a person's keys were destroyed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from nexus_shared.database import Database
from nexus_shared.ids import TenantId


class ErasureStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def erased_at(self, tenant_id: TenantId, key_ids: Sequence[UUID]) -> datetime:
        """When the last of these keys was destroyed: the same at every asking."""
        async with self._database.tenant(tenant_id) as connection:
            moment: datetime = await connection.fetchval(
                "select max(destroyed_at) from subject_keys where tenant_id = $1 and key_id = any($2)",
                tenant_id,
                list(key_ids),
            )
        return moment
