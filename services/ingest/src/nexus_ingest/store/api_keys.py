"""API keys as they were issued and taken back. The token itself is nowhere: it is shown once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nexus_shared.database import Database, across_tenants
from nexus_shared.ids import TenantId

_FIELDS = """jti, name, scopes, created_at, created_by, expires_at, revoked_at, revoked_by,
    case when revoked_at is not null then 'revoked' when expires_at > now() then 'active' else 'expired' end"""


class ApiKey(NamedTuple):
    """`status` is active, expired or revoked."""

    jti: UUID
    name: str
    scopes: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    status: str


class ApiKeyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        tenant_id: TenantId,
        jti: UUID,
        name: str,
        scopes: Sequence[str],
        created_by: str,
        expires_at: datetime,
    ) -> ApiKey:
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(
                "insert into api_keys (jti, tenant_id, name, scopes, created_by, expires_at)"
                f" values ($1, $2, $3, $4, $5, $6) returning {_FIELDS}",
                jti,
                tenant_id,
                name,
                list(scopes),
                created_by,
                expires_at,
            )
        assert row is not None
        return ApiKey(*row)

    async def page(
        self, tenant_id: TenantId, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ApiKey]:
        """Newest first; `before` is the last key of the previous page."""
        moment, jti = before or (None, None)
        async with self._database.tenant(tenant_id) as connection:
            rows = await connection.fetch(
                f"select {_FIELDS} from api_keys where tenant_id = $1"
                " and ($2::timestamptz is null or (created_at, jti) < ($2, $3::uuid))"
                " order by created_at desc, jti desc limit $4",
                tenant_id,
                moment,
                jti,
                limit,
            )
        return [ApiKey(*row) for row in rows]

    async def revoke(self, tenant_id: TenantId, jti: UUID, by: str) -> bool:
        """Takes the key back; the first time counts. False when the tenant has no such key."""
        async with self._database.tenant(tenant_id) as connection:
            answer = await connection.execute(
                "update api_keys set revoked_at = coalesce(revoked_at, clock_timestamp()),"
                " revoked_by = coalesce(revoked_by, $3) where tenant_id = $1 and jti = $2",
                tenant_id,
                jti,
                by,
            )
        return answer == "UPDATE 1"

    @across_tenants("every service checks keys of all tenants")
    async def revoked(self) -> list[str]:
        """The ids of revoked keys that have not expired, in order."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "select jti::text from api_keys where revoked_at is not null and expires_at > now() order by jti"
            )
        return [row["jti"] for row in rows]
