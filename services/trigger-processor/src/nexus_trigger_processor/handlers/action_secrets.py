"""The secrets that sign webhooks: kept sealed beside the definition, shown once when made, replaced without a gap."""

from __future__ import annotations

from uuid import UUID

import structlog

from nexus_shared.database import Connection
from nexus_shared.ids import TenantId
from nexus_shared.outbound.signing import new_secret
from nexus_shared.sealing import MasterKeys, SealBroken
from nexus_trigger_processor.domain.triggers import TriggerDefinition
from nexus_trigger_processor.store.triggers import SecretRow, TriggerStore

log = structlog.get_logger(__name__)


def secret_place(tenant_id: str, trigger_id: UUID, action_key: str) -> str:
    """Where an action's secret is sealed to."""
    return f"{tenant_id}|{trigger_id}|{action_key}"


class ActionSecrets:
    def __init__(self, store: TriggerStore, master: MasterKeys) -> None:
        self._store, self._master = store, master

    async def settle(
        self, tenant_id: TenantId, connection: Connection, trigger_id: UUID, definition: TriggerDefinition
    ) -> dict[str, str]:
        """Keeps the secrets that a definition brings and makes those that are missing.

        Returns the ones made, by action key: this is the only time they can be shown.
        """
        known = await self._store.secrets(tenant_id, connection, trigger_id)
        given, made = definition.secrets(), {}
        for key in (action.key for action in definition.actions):
            if key not in given and key not in known:
                given[key] = made[key] = new_secret()
            if key in given and not self._is_current(tenant_id, trigger_id, given[key], known.get(key)):
                await self._put(tenant_id, connection, trigger_id, key, given[key])
        return made

    async def rotate(
        self, tenant_id: TenantId, connection: Connection, trigger_id: UUID, action_key: str
    ) -> str:
        """A new secret in place of the current one, which signs too for another day."""
        secret = new_secret()
        await self._put(tenant_id, connection, trigger_id, action_key, secret)
        return secret

    async def _put(
        self, tenant_id: TenantId, connection: Connection, trigger_id: UUID, key: str, secret: str
    ) -> None:
        sealed = self._master.seal(secret.encode(), secret_place(tenant_id, trigger_id, key))
        await self._store.put_secret(tenant_id, connection, trigger_id, key, sealed)
        log.info("action_secret_changed", trigger_id=str(trigger_id), action_key=key)

    def _is_current(self, tenant_id: TenantId, trigger_id: UUID, secret: str, row: SecretRow | None) -> bool:
        """A definition that is saved twice with the same secret must not push the previous one out."""
        if row is None:
            return False
        try:
            opened = self._master.open(row.sealed, secret_place(tenant_id, trigger_id, row.action_key))
        except SealBroken:
            return False
        return opened == secret.encode()
