"""Tenants: made by the platform, configured by themselves; every configuration is told as a fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nexus_ingest.handlers.facts import Facts
from nexus_ingest.store.tenants import Tenant, TenantStore
from nexus_shared import catalogue
from nexus_shared.envelope import Event
from nexus_shared.errors import Flaw, InputInvalid, NexusError
from nexus_shared.ids import PLATFORM, TenantId, derive, is_tenant_id

CONFIGURED = "tenant.configured"
DEFAULTS: Mapping[str, Any] = {"tz": "America/Sao_Paulo", "locale": "pt-BR"}
SWEEP = 100


class TenantNotFound(NexusError):
    """There is no such tenant, or your key does not reach it."""

    status = 404
    slug = "tenant-not-found"
    title = "There is no such tenant"

    def __init__(self) -> None:
        super().__init__("There is no such tenant, or your key does not reach it.")


class TenantExists(NexusError):
    """There is a tenant 'clinica-sul' already. Configure it with PATCH /v1/tenants/clinica-sul, or take another id."""

    status = 409
    slug = "tenant-exists"
    title = "There is a tenant of this id"

    def __init__(self, tenant_id: TenantId) -> None:
        super().__init__(
            f"There is a tenant '{tenant_id}' already. "
            f"Configure it with PATCH /v1/tenants/{tenant_id}, or take another id."
        )


class Tenants:
    """The row is saved first; the fact follows under the row's lock, so facts come in the order of revisions. What a
    crash left untold is told by `sweep`."""

    def __init__(self, store: TenantStore, facts: Facts) -> None:
        self._store, self._facts = store, facts

    async def create(self, tenant_id: str, name: str, settings: Mapping[str, Any]) -> Tenant:
        """Raises InputInvalid, TenantExists."""
        chosen = _checked_id(tenant_id)
        tenant = await self._store.create(chosen, name, _checked({**DEFAULTS, **settings}))
        if tenant is None:
            raise TenantExists(chosen)
        await self._tell(chosen)
        return tenant

    async def configure(self, tenant_id: TenantId, name: str | None, settings: Mapping[str, Any]) -> Tenant:
        """Replaces the settings given; None takes one away. Raises TenantNotFound, InputInvalid."""
        async with self._store.changing(tenant_id) as change:
            if change is None:
                raise TenantNotFound
            wanted = {**change.tenant.settings, **settings}
            kept = _checked({key: value for key, value in wanted.items() if value is not None})
            name = name or change.tenant.name
            if (name, kept) == (change.tenant.name, change.tenant.settings):
                return change.tenant
            tenant = await change.save(name, kept)
        await self._tell(tenant_id)
        return tenant

    async def tenant(self, tenant_id: TenantId) -> Tenant:
        tenant = await self._store.tenant(tenant_id)
        if tenant is None:
            raise TenantNotFound
        return tenant

    async def page(self, *, after: str | None, limit: int) -> Sequence[Tenant]:
        return await self._store.page(after=after, limit=limit)

    async def sweep(self) -> None:
        """A job's step: tells what was saved and not told."""
        for tenant_id in await self._store.untold(SWEEP):
            await self._tell(tenant_id)

    async def _tell(self, tenant_id: TenantId) -> None:
        async with self._store.telling(tenant_id) as tenant:
            if tenant is not None:
                await self._facts.record(_configured(tenant))


def _configured(tenant: Tenant) -> Event:
    """The fact of this revision: the same however often it is told."""
    return Event(
        id=str(derive(CONFIGURED, tenant.tenant_id, tenant.revision)),
        source="ingest",
        type=CONFIGURED,
        tenantid=tenant.tenant_id,
        subject=f"tenant/{tenant.tenant_id}",
        time=tenant.updated_at,
        data={"name": tenant.name, **tenant.settings},
    )


def _checked_id(text: str) -> TenantId:
    if text == PLATFORM:
        message = f"'{PLATFORM}' names the platform itself; take another id"
    elif not is_tenant_id(text):
        message = (
            "Expected 1 to 63 lower-case letters, digits and hyphens, beginning with no hyphen: clinica-sul"
        )
    else:
        return TenantId(text)
    raise InputInvalid(message, flaws=[Flaw("/tenant_id", message, "tenant_id")])


def _checked(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings as the catalogue describes them; a setting that it does not know is a mistake, not an extension."""
    kind = catalogue.find(CONFIGURED)
    assert kind is not None
    known = set(kind.data.model_fields)
    flaws = [
        Flaw(
            f"/settings/{name[:80]}",
            f"There is no such setting; known are {', '.join(sorted(known))}",
            "unknown",
        )
        for name in settings
        if name not in known
    ]
    flaws += [
        Flaw(flaw.pointer.replace("/data", "/settings", 1), flaw.message, flaw.code)
        for flaw in kind.problems(dict(settings))
    ]
    if flaws:
        raise InputInvalid("; ".join(flaw.message for flaw in flaws[:3]), flaws=flaws)
    return settings
