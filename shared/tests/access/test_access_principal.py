from __future__ import annotations

import pytest

from nexus_shared.access.principal import ROLES, Principal, Role, Scope, ScopeMissing, grantable
from nexus_shared.ids import PLATFORM, TenantId


def test_every_scope_is_explained() -> None:
    assert all(len(scope.description) > 10 for scope in Scope)
    assert {scope.value: scope for scope in Scope}["events:write"] is Scope.EVENTS_WRITE


def test_a_missing_scope_is_named() -> None:
    holder = Principal("crm", TenantId("clinica-sul"), frozenset({Scope.EVENTS_READ}), "j-1")

    holder.require(Scope.EVENTS_READ)
    with pytest.raises(ScopeMissing, match="lacks the scope 'triggers:write'"):
        holder.require(Scope.TRIGGERS_WRITE)


def test_no_role_of_a_clinic_reaches_beyond_its_tenant() -> None:
    for role in set(Role) - {Role.PLATFORM}:
        assert ROLES[role] <= grantable(TenantId("clinica-sul"))
    assert ROLES[Role.PLATFORM] == grantable(PLATFORM) == set(Scope)


def test_a_viewer_changes_nothing() -> None:
    assert all(scope.value.endswith(":read") for scope in ROLES[Role.VIEWER])


def test_a_developer_publishes_and_reads_events() -> None:
    assert ROLES[Role.DEVELOPER] == {Scope.EVENTS_WRITE, Scope.EVENTS_READ}
