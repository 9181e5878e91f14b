from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
import structlog
from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal
from nexus_shared.http.openapi import check_operations
from nexus_shared.observability import tracing

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

router = APIRouter(prefix="/v1")


@router.get("/context", operation_id="context")
async def context(who: Annotated[Principal, requires()]) -> dict[str, str | None]:
    bound = structlog.contextvars.get_contextvars()
    return {**bound, "traceparent": tracing.current_traceparent()}


@router.get("/things/{thing_id}", operation_id="showThing")
async def show(thing_id: str) -> str:
    return thing_id


@router.get("/cached", operation_id="cached")
async def cached() -> Response:
    return Response("ok", headers={"Cache-Control": "max-age=60"})


@pytest.fixture
def app(build: Any) -> FastAPI:
    return build(router)  # type: ignore[no-any-return]


async def test_a_request_id_is_made_and_a_well_formed_one_is_kept(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        made = [(await client.get("/v1/cached")).headers["x-request-id"] for _ in range(2)]
        kept = (await client.get("/v1/cached", headers={"X-Request-Id": "n8n-run.42_b"})).headers[
            "x-request-id"
        ]
        refused = (await client.get("/v1/cached", headers={"X-Request-Id": "a b\tc" * 9})).headers[
            "x-request-id"
        ]

    assert made[0] != made[1]
    assert kept == "n8n-run.42_b"
    assert len(refused) == 16


async def test_log_lines_of_a_request_carry_its_id_tenant_and_trace(
    app: FastAPI, asking: Any, token: str
) -> None:
    headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "call-1234", "traceparent": TRACEPARENT}
    async with asking(app) as client:
        seen = (await client.get("/v1/context", headers=headers)).json()

    assert seen == {"request_id": "call-1234", "tenant": "clinica-sul", "traceparent": TRACEPARENT}


async def test_nothing_of_a_request_stays_bound_after_it(app: FastAPI, asking: Any, token: str) -> None:
    async with asking(app) as client:
        await client.get("/v1/context", headers={"Authorization": f"Bearer {token}"})

    assert structlog.contextvars.get_contextvars() == {}


async def test_answers_carry_security_headers_and_are_not_stored(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        inside, outside = await client.get("/v1/things/7"), await client.get("/health/live")

    assert inside.headers["cache-control"] == "no-store"
    assert inside.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert inside.headers["x-content-type-options"] == outside.headers["x-content-type-options"] == "nosniff"
    assert "cache-control" not in outside.headers


async def test_a_route_may_set_its_own_caching(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.get("/v1/cached")

    assert answer.headers.get_list("cache-control") == ["max-age=60"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_service_is_live_before_it_is_ready(build: Any, asking: Any) -> None:
    async def yes() -> bool:
        return True

    async def never() -> bool:
        await asyncio.sleep(60)
        return True

    async def broken() -> bool:
        raise ConnectionRefusedError

    app = build(router, readiness={"postgres": yes, "rabbitmq": broken, "relay": never})
    async with asking(app) as client:
        live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unavailable",
        "checks": {"postgres": True, "rabbitmq": False, "relay": False},
    }


async def test_a_service_that_is_stopping_is_not_ready(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        before = await client.get("/health/ready")
        app.state.closing.set()
        after = await client.get("/health/ready")

    assert (before.status_code, after.status_code) == (200, 503)


async def test_requests_are_measured_by_route_and_not_by_path(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        for thing in ("a", "b"):
            await client.get(f"/v1/things/{thing}")
        await client.request("BREW", "/v1/things/a")
        await client.get("/v1/nowhere/a")
        metrics = (await client.get("/metrics")).text

    counts = [line for line in metrics.splitlines() if line.startswith("nexus_http_request_seconds_count")]
    assert (
        'nexus_http_request_seconds_count{method="GET",route="/v1/things/{thing_id}",status="200"} 2.0'
        in counts
    )
    assert any('method="OTHER"' in line and 'status="405"' in line for line in counts)
    assert any('route="other",status="404"' in line for line in counts)
    assert not any("/v1/things/a" in line for line in counts)


async def test_a_trailing_slash_is_no_other_name(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        assert (await client.get("/v1/cached/")).status_code == 404


def test_operation_ids_are_listed(app: FastAPI) -> None:
    assert check_operations(app) == ["context", "showThing", "cached"]


def test_a_route_without_an_operation_id_is_found(build: Any) -> None:
    nameless = APIRouter(prefix="/v1")
    nameless.add_api_route("/x", show, methods=["GET"])

    with pytest.raises(ValueError, match=r"GET /v1/x \(show\) has no operation_id"):
        check_operations(build(nameless))


def test_an_operation_id_used_twice_is_found(build: Any) -> None:
    double = APIRouter()
    double.add_api_route("/x", cached, methods=["GET"], operation_id="same")
    double.add_api_route("/y", cached, methods=["GET"], operation_id="same")

    with (
        pytest.warns(UserWarning, match="Duplicate Operation ID"),
        pytest.raises(ValueError, match="GET /y repeats"),
    ):
        check_operations(build(double))
