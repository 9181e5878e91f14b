"""API keys: issued once, listed without the token, taken back within seconds everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from nexus_ingest.handlers.facts import Facts
from nexus_ingest.handlers.tenants import TenantNotFound
from nexus_ingest.store.api_keys import ApiKey, ApiKeyStore
from nexus_ingest.store.tenants import TenantStore
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.access.revocations import Revocations
from nexus_shared.access.tokens import TokenSigner
from nexus_shared.envelope import Event
from nexus_shared.errors import Flaw, InputInvalid, NexusError
from nexus_shared.ids import PLATFORM, TenantId, derive

LONGEST = timedelta(days=365)
LISTED_AT_ONCE = 2_000
"""Keys in one `access.revocations_listed`: a fact has at most 256 KiB."""


class ApiKeyNotFound(NexusError):
    """There is no such API key in this tenant."""

    status = 404
    slug = "api-key-not-found"
    title = "There is no such API key"

    def __init__(self) -> None:
        super().__init__("There is no such API key in this tenant. GET /v1/tokens lists them.")


class ScopeNotHeld(NexusError):
    """Your key lacks 'events:backfill', so it cannot give it to another key."""

    status = 403
    slug = "scope-not-held"
    title = "A key cannot grant what it does not hold"

    def __init__(self, missing: Iterable[Scope]) -> None:
        names = ", ".join(f"'{scope.value}'" for scope in sorted(missing))
        super().__init__(f"Your key lacks {names}, so it cannot give that to another key.")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just issued; `token` is never shown again."""

    tenant_id: TenantId
    token: str
    key: ApiKey


class ApiKeys:
    def __init__(
        self,
        store: ApiKeyStore,
        tenants: TenantStore,
        signer: TokenSigner,
        facts: Facts,
        revocations: Revocations,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._tenants, self._signer, self._facts = store, tenants, signer, facts
        self._revocations, self._clock = revocations, clock

    async def reach(self, who: Principal, tenant_id: str | None) -> TenantId:
        """The tenant whose keys are meant: one's own, or for the platform any. Raises TenantNotFound."""
        if tenant_id is None or tenant_id == who.tenant_id:
            return who.tenant_id
        if not who.is_platform or await self._tenants.tenant(TenantId(tenant_id)) is None:
            raise TenantNotFound
        return TenantId(tenant_id)

    async def issue(
        self,
        who: Principal,
        tenant_id: TenantId,
        name: str,
        scopes: frozenset[Scope],
        expires_at: datetime | None,
    ) -> NewKey:
        """Raises ScopeNotHeld, ScopeNotGrantable, InputInvalid."""
        if missing := scopes - who.scopes:
            raise ScopeNotHeld(missing)
        token, claims = self._signer.issue(name, tenant_id, scopes, self._expiry(expires_at))
        granted = sorted(scope.value for scope in claims.scopes)
        key = await self._store.add(tenant_id, UUID(claims.jti), name, granted, who.name, claims.expires_at)
        return NewKey(tenant_id, token, key)

    async def page(
        self, tenant_id: TenantId, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ApiKey]:
        return await self._store.page(tenant_id, before=before, limit=limit)

    async def revoke(self, who: Principal, tenant_id: TenantId, jti: UUID) -> None:
        """Here at once, elsewhere as soon as the fact arrives. Again is the same. Raises ApiKeyNotFound."""
        if not await self._store.revoke(tenant_id, jti, who.name):
            raise ApiKeyNotFound
        self._revocations.revoke(str(jti))
        await self._facts.record(
            Event(
                id=str(derive("access.key_revoked", tenant_id, jti)),
                source="ingest",
                type="access.key_revoked",
                tenantid=tenant_id,
                subject=f"key/{jti}",
                data={"jti": str(jti)},
            )
        )

    async def list_revocations(self) -> None:
        """A job's step: the full list, for services that missed a fact or are new. Of all who tell it in one minute the
        first one counts; where nothing is revoked nothing is said."""
        minute = int(self._clock().timestamp()) // 60
        jtis = await self._store.revoked()
        for start in range(0, len(jtis), LISTED_AT_ONCE):
            await self._facts.record(_listed(minute, start, jtis[start : start + LISTED_AT_ONCE]))

    def _expiry(self, wanted: datetime | None) -> datetime:
        now = self._clock()
        expires_at = wanted or now + LONGEST
        if not now < expires_at <= now + LONGEST:
            message = f"Expected a time in the future, at most {LONGEST.days} days from now"
            raise InputInvalid(message, flaws=[Flaw("/expires_at", message, "expiry")])
        return expires_at


def _listed(minute: int, start: int, jtis: Sequence[str]) -> Event:
    return Event(
        id=str(derive("access.revocations_listed", minute, start)),
        source="ingest",
        type="access.revocations_listed",
        tenantid=PLATFORM,
        time=datetime.fromtimestamp(minute * 60, UTC),
        data={"jtis": list(jtis)},
    )
