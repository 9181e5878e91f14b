"""The guard at a route, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter

from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.http.app import create_api
from nexus_shared.observability.metrics import new_registry

router = APIRouter(prefix="/v1")


@router.get("/whoami", operation_id="whoAmI")
async def whoami(who: Annotated[Principal, requires()]) -> str:
    return f"{who.tenant_id}/{who.name}"


@router.post("/triggers", operation_id="createTrigger")
async def create(who: Annotated[Principal, requires(Scope.TRIGGERS_READ, Scope.TRIGGERS_WRITE)]) -> str:
    return who.name


@pytest.fixture
async def api(door: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_api(
        title="Doors",
        service="doors",
        routers=[router],
        readiness={},
        registry=new_registry("doors"),
        access=door.verifier,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nexus") as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_valid_key_lets_its_holder_in(api: httpx.AsyncClient, door: Any) -> None:
    answer = await api.get("/v1/whoami", headers=bearer(door.token()))

    assert (answer.status_code, answer.json()) == (200, "clinica-sul/crm")


async def test_without_a_key_the_answer_says_what_to_send(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/whoami")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:nexus:problem:unauthenticated"
    assert "Authorization: Bearer" in answer.json()["detail"]


async def test_all_refusals_look_alike(api: httpx.AsyncClient, door: Any) -> None:
    revoked = door.token()
    door.revocations.revoke(door.verifier.verify(revoked).jti)
    attempts = [
        {},
        bearer("nonsense"),
        bearer(revoked),
        {"Authorization": f"Basic {door.token()}"},
        bearer(""),
    ]

    answers = [(await api.get("/v1/whoami", headers=headers)).json() for headers in attempts]

    assert (
        len({tuple(sorted((k, v) for k, v in answer.items() if k != "instance")) for answer in answers}) == 1
    )


async def test_a_key_in_the_url_is_not_accepted(api: httpx.AsyncClient, door: Any) -> None:
    answer = await api.get("/v1/whoami", params={"access_token": door.token()})

    assert answer.status_code == 401


async def test_a_missing_scope_is_named(api: httpx.AsyncClient, door: Any) -> None:
    answer = await api.post("/v1/triggers", headers=bearer(door.token(Scope.TRIGGERS_READ)))

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:nexus:problem:scope-missing"
    assert "'triggers:write'" in answer.json()["detail"]


async def test_all_scopes_of_a_route_open_it(api: httpx.AsyncClient, door: Any) -> None:
    answer = await api.post(
        "/v1/triggers", headers=bearer(door.token(Scope.TRIGGERS_READ, Scope.TRIGGERS_WRITE))
    )

    assert answer.status_code == 200


async def test_the_scheme_of_the_header_may_be_written_in_any_case(api: httpx.AsyncClient, door: Any) -> None:
    answer = await api.get("/v1/whoami", headers={"Authorization": f"bEaReR {door.token()}"})

    assert answer.status_code == 200


async def test_openapi_tells_which_scopes_a_route_needs(api: httpx.AsyncClient) -> None:
    document = (await api.get("/openapi.json")).json()

    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    assert document["paths"]["/v1/whoami"]["get"]["security"] == [{"ApiKey": []}]
    assert document["paths"]["/v1/triggers"]["post"]["security"] == [
        {"ApiKey": ["triggers:read", "triggers:write"]}
    ]
