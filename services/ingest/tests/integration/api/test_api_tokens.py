"""API keys: issued within what the issuer holds, shown once, taken back at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from nexus_shared.access.principal import Scope
from nexus_shared.ids import PLATFORM
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


async def create(clinic: Any, status: int = 201, **wanted: Any) -> dict[str, Any]:
    made: dict[str, Any] = await clinic.ask(
        "POST", "/v1/tokens", status, json={"name": "crm", "scopes": ["events:write"]} | wanted
    )
    return made


async def test_a_new_key_works_and_its_token_is_shown_once(clinic: Any, ingest: Any) -> None:
    made = await create(clinic, scopes=["events:write", "events:read"])
    crm = ingest.clinic(tenant_id=clinic.tenant_id, token=made["token"])

    (result,) = await crm.publish(a_lead_created())
    listed = (await clinic.get("/v1/tokens"))["items"]

    assert result["status"] == "stored"
    assert made["token"] not in str(listed)
    assert [(key["jti"], key["name"], key["status"]) for key in listed] == [(made["jti"], "crm", "active")]
    assert listed[0]["scopes"] == ["events:read", "events:write"]
    assert listed[0]["created_by"] == "test"


async def test_a_role_stands_for_its_scopes(clinic: Any) -> None:
    made = await create(clinic, scopes=None, role="viewer")

    assert made["scopes"] == ["events:read", "quarantine:read", "runs:read", "triggers:read"]


async def test_a_key_lasts_a_year_unless_it_is_told_otherwise(clinic: Any) -> None:
    soon = datetime.now(UTC) + timedelta(days=7)

    default = datetime.fromisoformat((await create(clinic))["expires_at"])
    chosen = datetime.fromisoformat((await create(clinic, expires_at=soon.isoformat()))["expires_at"])

    assert timedelta(days=364) < default - datetime.now(UTC) <= timedelta(days=365)
    assert chosen == soon.replace(microsecond=0)


@pytest.mark.parametrize(
    ("wanted", "pointer", "expected"),
    [
        ({"scopes": None}, "", "either scopes or a role"),
        ({"role": "viewer"}, "", "either scopes or a role"),
        ({"scopes": []}, "/scopes", "at least 1"),
        ({"scopes": ["events:destroy"]}, "/scopes/0", "events:write"),
        ({"name": ""}, "/name", "at least 1"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "at most 365 days"),
        ({"expires_at": "2099-01-01T00:00:00Z"}, "/expires_at", "at most 365 days"),
        ({"colour": "red"}, "/colour", "not permitted"),
    ],
)
async def test_a_wish_that_cannot_be_granted_is_named(
    clinic: Any, wanted: dict[str, Any], pointer: str, expected: str
) -> None:
    problem = await create(clinic, 422, **wanted)

    assert problem["errors"][0]["pointer"] == pointer
    assert expected in problem["errors"][0]["message"]


async def test_a_key_cannot_grant_what_it_does_not_hold(ingest: Any, clinic: Any) -> None:
    small = ingest.clinic(Scope.TOKENS_MANAGE, Scope.EVENTS_READ)

    problem = await create(small, 403, scopes=["events:read", "events:write"])
    backfill = await create(clinic, 403, scopes=["events:backfill"])
    platform = await create(clinic, 403, scopes=None, role="platform")

    assert "'events:write'" in problem["detail"]
    assert "'events:backfill'" in backfill["detail"]
    assert "'tenants:manage'" in platform["detail"]


async def test_a_revoked_key_is_refused_at_once_and_the_fact_is_recorded(clinic: Any, ingest: Any) -> None:
    made = await create(clinic, scopes=["events:read"])
    crm = ingest.clinic(tenant_id=clinic.tenant_id, token=made["token"])
    await crm.get("/v1/events")

    await clinic.ask("DELETE", f"/v1/tokens/{made['jti']}", 204)
    await crm.get("/v1/events", 401)
    await clinic.ask("DELETE", f"/v1/tokens/{made['jti']}", 204)

    (fact,) = await clinic.facts("access.key_revoked")
    assert (fact["subject"], fact["data"]) == (f"key/{made['jti']}", {"jti": made["jti"]})
    (listed,) = (await clinic.get("/v1/tokens"))["items"]
    assert (listed["status"], listed["revoked_by"]) == ("revoked", "test")


async def test_a_key_revoked_at_another_instance_is_refused_within_five_seconds(
    clinic: Any, ingest: Any, eventually: Eventually
) -> None:
    made = await create(clinic, scopes=["events:read"])
    crm = ingest.clinic(tenant_id=clinic.tenant_id, token=made["token"])
    await ingest.sql("update api_keys set revoked_at = now() where jti = $1", made["jti"])

    async def is_refused() -> bool:
        return bool((await crm.http.get("/v1/events")).status_code == 401)

    await eventually(is_refused, 5)


async def test_the_list_of_revoked_keys_is_told_to_everybody_once_a_minute(ingest: Any, clinic: Any) -> None:
    made = await create(clinic)
    await clinic.ask("DELETE", f"/v1/tokens/{made['jti']}", 204)
    keys = ingest.api_keys(clock=lambda: datetime.now(UTC) + timedelta(hours=1))

    await asyncio.gather(keys.list_revocations(), keys.list_revocations())

    told = await ingest.platform().facts("access.revocations_listed")
    assert made["jti"] in told[-1]["data"]["jtis"]
    assert len({fact["time"] for fact in told}) == len(told)


async def test_a_clinic_reaches_no_keys_but_its_own(clinic: Any, ingest: Any) -> None:
    made = await create(clinic)
    other = ingest.clinic()

    assert (await other.get("/v1/tokens"))["items"] == []
    await other.get("/v1/tokens", 404, tenant_id=clinic.tenant_id)
    await other.ask("DELETE", f"/v1/tokens/{made['jti']}", 404)
    await other.ask("DELETE", f"/v1/tokens/{made['jti']}", 404, params={"tenant_id": clinic.tenant_id})
    await create(other, 404, tenant_id=clinic.tenant_id)
    await clinic.ask("DELETE", f"/v1/tokens/{uuid4()}", 404)


async def test_the_platform_issues_and_revokes_keys_of_any_tenant(ingest: Any) -> None:
    platform = ingest.platform()
    await platform.ask(
        "POST", "/v1/tenants", 201, json={"tenant_id": "com-chave", "name": "Clínica com Chave"}
    )

    made = await create(platform, tenant_id="com-chave", scopes=None, role="clinic-admin")
    clinic = ingest.clinic(tenant_id="com-chave", token=made["token"])
    await clinic.get("/v1/events")
    await platform.ask("DELETE", f"/v1/tokens/{made['jti']}", 204, params={"tenant_id": "com-chave"})

    await clinic.get("/v1/events", 401)
    await create(platform, 404, tenant_id="nobody-here")
    problem = await create(platform, 422, tenant_id="com-chave", scopes=None, role="platform")
    assert problem["type"] == "urn:nexus:problem:scope-not-grantable"
    own = await create(platform, scopes=["tenants:manage"])
    assert own["tenant_id"] == PLATFORM


async def test_pages_of_keys_follow_each_other(clinic: Any) -> None:
    made = [(await create(clinic, name=f"key-{number}"))["jti"] for number in range(3)]

    first = await clinic.get("/v1/tokens", limit=2)
    rest = await clinic.get("/v1/tokens", limit=2, cursor=first["next_cursor"])

    assert [key["jti"] for key in [*first["items"], *rest["items"]]] == made[::-1]
