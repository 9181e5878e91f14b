"""Who is asking, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from nexus_shared.errors import NexusError
from nexus_shared.ids import PLATFORM, TenantId


class Scope(StrEnum):
    """One permission of an API key; `description` says it to the person who grants it."""

    description: str

    def __new__(cls, value: str, description: str) -> Scope:
        scope = str.__new__(cls, value)
        scope._value_ = value
        scope.description = description
        return scope

    EVENTS_WRITE = "events:write", "Publish events of the tenant"
    EVENTS_READ = "events:read", "Read recorded events, their stories, statistics and the live feed"
    EVENTS_BACKFILL = "events:backfill", "Publish events older than the time duplicates are known for"
    QUARANTINE_READ = "quarantine:read", "Read events that did not fit their schema"
    QUARANTINE_WRITE = "quarantine:write", "Correct, re-ingest or discard quarantined events"
    TRIGGERS_READ = "triggers:read", "Read triggers and their versions"
    TRIGGERS_WRITE = "triggers:write", "Create, publish, disable and roll back triggers"
    RUNS_READ = "runs:read", "Read decisions, runs, actions and attempts"
    RUNS_WRITE = "runs:write", "Cancel runs and redrive dead letters"
    TOKENS_MANAGE = "tokens:manage", "Issue and revoke the tenant's API keys"
    TENANT_WRITE = "tenant:write", "Change the tenant's settings: time zone, business hours, closing days"
    TENANTS_MANAGE = "tenants:manage", "Create and configure tenants (platform keys only)"


class Role(StrEnum):
    """A usual set of scopes, to be granted by one word."""

    VIEWER = "viewer"
    RECEPTIONIST = "receptionist"
    CLINIC_ADMIN = "clinic-admin"
    DEVELOPER = "developer"
    PLATFORM = "platform"


_VIEWER = frozenset({Scope.EVENTS_READ, Scope.QUARANTINE_READ, Scope.TRIGGERS_READ, Scope.RUNS_READ})

ROLES: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.RECEPTIONIST: _VIEWER | {Scope.EVENTS_WRITE, Scope.RUNS_WRITE},
        # History is backfilled by whoever imports it, with a key made for that import.
        Role.CLINIC_ADMIN: frozenset(Scope) - {Scope.TENANTS_MANAGE, Scope.EVENTS_BACKFILL},
        Role.DEVELOPER: frozenset({Scope.EVENTS_WRITE, Scope.EVENTS_READ}),
        Role.PLATFORM: frozenset(Scope),
    }
)


class ScopeMissing(NexusError):
    """The API key lacks the scope 'triggers:write'. Ask for a key that has it."""

    status = 403
    slug = "scope-missing"
    title = "The API key does not allow this"

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"The API key lacks the scope '{scope.value}'. Ask for a key that has it.")
        self.scope = scope


def grantable(tenant_id: TenantId) -> frozenset[Scope]:
    """The scopes a key of this tenant can hold: `tenants:manage` belongs to the platform alone."""
    return frozenset(Scope) if tenant_id == PLATFORM else frozenset(Scope) - {Scope.TENANTS_MANAGE}


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a verified key: acts for one tenant only, within its scopes. `jti` names the key."""

    name: str
    tenant_id: TenantId
    scopes: frozenset[Scope]
    jti: str

    @property
    def is_platform(self) -> bool:
        return self.tenant_id == PLATFORM

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing unless the key holds this scope."""
        if scope not in self.scopes:
            raise ScopeMissing(scope)
