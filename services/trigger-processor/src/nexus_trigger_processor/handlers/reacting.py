"""Facts this service itself must know: settings of tenants, and keys that no longer count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nexus_shared.database import Connection
from nexus_trigger_processor.store.platform import PlatformStore

DEFAULT_ZONE = "America/Sao_Paulo"


class Reactions:
    """Applied in the transaction that moves the lane, so none is missed and none counts twice."""

    def __init__(self, store: PlatformStore) -> None:
        self._store = store
        self._settings: dict[str, Mapping[str, Any]] = {}

    async def apply(self, connection: Connection, events: Sequence[Mapping[str, Any]]) -> None:
        for event in events:
            match event["type"]:
                case "tenant.configured":
                    await self._store.configure(
                        connection, event["tenantid"], event["data"], int(event["sequence"])
                    )
                case "access.key_revoked":
                    await self._store.revoke(connection, [event["data"]["jti"]])
                case "access.revocations_listed":
                    await self._store.revoke(connection, event["data"]["jtis"])

    async def reload(self) -> None:
        """All tenants' settings again; every replica does this every few seconds."""
        self._settings = await self._store.settings()

    def tenant_values(self, tenant_id: str) -> Mapping[str, Any]:
        """What templates may name about the tenant."""
        settings = self._settings.get(tenant_id, {})
        return {
            "id": tenant_id,
            "name": settings.get("name", tenant_id),
            "tz": settings.get("tz") or DEFAULT_ZONE,
        }
