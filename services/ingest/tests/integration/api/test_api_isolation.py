"""One clinic's ids in another clinic's hands: no route and no store method gives anything away, whatever is added."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import orjson
import pytest
import pytest_asyncio

import nexus_ingest.store as stores
from nexus_ingest.domain.browsing import Filters, Progress
from nexus_shared.ids import TenantId
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.integration

SECRET = "Segredo da Clínica"
NOT_ASKED = {"createTenant", "listTenants", "streamEvents"}
"""The platform's; and the feed, which never ends and has a test of its own."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def theirs(ingest: Any, eventually: Any) -> Any:
    """Something of everything a clinic can have; `ids` by the name of a route's parameter."""
    clinic = ingest.publishing_clinic()
    (result,) = await clinic.publish(a_lead_created(id="theirs", data={"interest_text": SECRET}))
    wrong = a_lead_created(tenantid=clinic.tenant_id, data={"phone": SECRET}).to_json()
    await clinic.publish_by_broker(wrong, f"{clinic.tenant_id}.lead.created")

    async def is_quarantined() -> bool:
        return bool((await clinic.get("/v1/quarantine"))["items"])

    await eventually(is_quarantined)
    settings = {"tenant_id": clinic.tenant_id, "name": SECRET}
    await ingest.platform().ask("POST", "/v1/tenants", 201, json=settings)
    token = await clinic.ask("POST", "/v1/tokens", 201, json={"name": SECRET, "role": "viewer"})
    ids = {
        "event_id": "theirs",
        "position": result["position"],
        "quarantine_id": (await clinic.get("/v1/quarantine"))["items"][0]["quarantine_id"],
        "tenant_id": clinic.tenant_id,
        "jti": token["jti"],
    }
    return SimpleNamespace(clinic=clinic, ids=ids, snapshot=lambda: _snapshot(ingest, clinic.tenant_id))


async def _snapshot(ingest: Any, tenant_id: str) -> list[Any]:
    tables = ("quarantine", "tenants", "api_keys", "subject_keys")
    return [
        await ingest.sql(f"select * from {table} where tenant_id = $1 order by 1", tenant_id)
        for table in tables
    ]


def _operations(ingest: Any) -> Iterator[tuple[str, str, str]]:
    """(operation id, method, path) of all that a tenant may ask for."""
    for path, operations in ingest.service.api.openapi()["paths"].items():
        for method, operation in operations.items():
            if operation["operationId"] not in NOT_ASKED:
                yield operation["operationId"], method, path


BODIES: dict[str, Any] = {
    "discardQuarantineEntry": {"reason": "not mine"},
    "recordQuarantineEntry": {"specversion": "1.0"},
    "configureTenant": {"name": "mine now"},
    "erasePerson": {"person": "lead/lead-1", "reason": "not mine"},
}


async def test_no_route_gives_anything_of_another_clinic_away(theirs: Any, ingest: Any) -> None:
    stranger, before = ingest.clinic(), await theirs.snapshot()
    asked = []
    for name, method, path in _operations(ingest):
        filled = path.format(**{key: quote(str(value)) for key, value in theirs.ids.items()})
        answer = await stranger.http.request(method, filled, json=BODIES.get(name))
        asked.append(name)
        assert SECRET not in answer.text
        if filled != path or name == "erasePerson":
            assert answer.status_code == 404, (name, answer.text)

    assert len(asked) > 15
    assert await theirs.snapshot() == before


def _methods() -> list[tuple[type, str]]:
    """Every public method of every store: (class, name)."""
    found = []
    for module in pkgutil.iter_modules(stores.__path__, f"{stores.__name__}."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if kind.__module__ == module.name and kind.__name__.endswith("Store"):
                found += [(kind, name) for name in vars(kind) if not name.startswith("_")]
    return found


def _of_a_tenant() -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind.__name__}.{name}")
        for kind, name in _methods()
        if not hasattr(getattr(kind, name), "across_tenants")
    ]


@pytest.mark.parametrize(("kind", "name"), _of_a_tenant())
async def test_no_store_method_gives_anything_of_another_clinic_away(
    kind: type, name: str, theirs: Any, ingest: Any
) -> None:
    method, before = getattr(kind(*_needs(kind, ingest)), name), await theirs.snapshot()
    (first, *others) = inspect.signature(method).parameters.values()
    assert first.name == "tenant_id", (
        "a store method takes the tenant first, or is marked @across_tenants(why)"
    )
    if (kind.__name__, name) == ("ApiKeyStore", "add"):
        return  # it looks nothing up

    call = method(TenantId("a-stranger"), **{each.name: _value(each, theirs.ids) for each in others})
    answer = await call.__aenter__() if hasattr(call, "__aenter__") else await call

    assert not answer or not any(answer), f"{kind.__name__}.{name} answered {answer!r}"
    assert SECRET not in repr(answer)
    assert await theirs.snapshot() == before


def _needs(kind: type, ingest: Any) -> list[Any]:
    database = ingest.service.resources[0]
    return [database, "test"] if "writer" in inspect.signature(kind).parameters else [database]


def _value(parameter: inspect.Parameter, ids: dict[str, Any]) -> Any:
    """For each parameter what the other clinic would be found by."""
    now = datetime.now(UTC)
    return {
        "event_id": "theirs",
        "source": "crm",
        "correlation_id": "theirs",
        "position": ids["position"],
        "after": 0,
        "until": ids["position"] if parameter.annotation == "int" else now + timedelta(hours=1),
        "since": now - timedelta(days=1),
        "limit": 10,
        "types": None,
        "filters": Filters(),
        "progress": Progress([0] * 16, 0),
        "order": "desc",
        "interval": "hour",
        "zone": "America/Sao_Paulo",
        "status": None,
        "before": None,
        "quarantine_id": UUID(str(ids["quarantine_id"])),
        "jti": UUID(str(ids["jti"])),
        "by": "a stranger",
        "key_ids": [],
    }[parameter.name]


async def test_row_level_security_stands_behind_every_table_of_tenants(theirs: Any, ingest: Any) -> None:
    tables = await ingest.sql(
        "select c.relname, c.relrowsecurity and c.relforcerowsecurity as is_guarded, c.relispartition as is_leaf"
        " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'"
        " where c.relnamespace = 'ingest'::regnamespace and c.relkind in ('r', 'p')"
    )
    connection = await asyncpg.connect(ingest.database.api_url)
    try:
        for table in tables:
            if table["is_leaf"]:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetchval(f'select count(*) from "{table["relname"]}"')
                continue
            assert table["is_guarded"], table["relname"]
            count = f'select count(*) from "{table["relname"]}"'
            assert await connection.fetchval(count) == 0, "without a tenant nothing is visible"
            async with connection.transaction():
                await connection.execute("select set_config('app.tenant', 'a-stranger', true)")
                assert await connection.fetchval(count) == 0
    finally:
        await connection.close()
    assert {table["relname"] for table in tables if not table["is_leaf"]} >= {
        "automation_events",
        "quarantine",
    }


async def test_a_token_says_which_clinic_and_nothing_in_a_request_can_change_it(
    theirs: Any, ingest: Any
) -> None:
    stranger = ingest.clinic()
    tricks = {"tenant_id": theirs.clinic.tenant_id, "tenantid": theirs.clinic.tenant_id}
    headers = {"X-Tenant": theirs.clinic.tenant_id, "X-Tenant-Id": theirs.clinic.tenant_id}

    shown = await stranger.http.get("/v1/events/theirs", params=tricks, headers=headers)
    published = await stranger.publish_raw(
        orjson.dumps(a_lead_created(id="forged").as_dict() | {"tenantid": theirs.clinic.tenant_id})
    )

    assert shown.status_code == 404
    assert published.status_code == 422
    await theirs.clinic.get("/v1/events/forged", 404)
