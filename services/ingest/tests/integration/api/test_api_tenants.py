"""Tenants: made by the platform, configured by themselves, each configuration told as a fact."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from nexus_ingest.handlers.tenants import Tenants
from nexus_shared.access.principal import Scope

pytestmark = pytest.mark.integration

NUMBERS = count(1)
HOURS = [{"weekday": 1, "opens": "08:00", "closes": "18:00"}]


@pytest.fixture
async def made(ingest: Any) -> Any:
    """A clinic that exists as a tenant."""
    tenant_id = f"feita-{next(NUMBERS)}"
    await ingest.platform().ask(
        "POST", "/v1/tenants", 201, json={"tenant_id": tenant_id, "name": "Clínica Feita"}
    )
    return ingest.clinic(tenant_id=tenant_id)


async def test_a_new_tenant_has_defaults_and_its_settings_are_a_fact(made: Any) -> None:
    tenant = await made.get(f"/v1/tenants/{made.tenant_id}")

    assert tenant["settings"] == {"tz": "America/Sao_Paulo", "locale": "pt-BR"}
    assert (tenant["name"], tenant["revision"], tenant["is_active"]) == ("Clínica Feita", 1, True)
    (fact,) = await made.facts("tenant.configured")
    assert fact["data"] == {"name": "Clínica Feita", "tz": "America/Sao_Paulo", "locale": "pt-BR"}
    assert fact["subject"] == f"tenant/{made.tenant_id}"


async def test_a_change_keeps_the_other_settings_and_null_takes_one_away(made: Any) -> None:
    path = f"/v1/tenants/{made.tenant_id}"
    await made.ask("PATCH", path, json={"settings": {"business_hours": HOURS, "tz": "America/Manaus"}})
    tenant = await made.ask("PATCH", path, json={"name": "Nova", "settings": {"locale": None}})

    assert (tenant["name"], tenant["revision"]) == ("Nova", 3)
    assert tenant["settings"] == {"tz": "America/Manaus", "business_hours": HOURS}
    facts = await made.facts("tenant.configured")
    assert facts[-1]["data"] == {"name": "Nova", **tenant["settings"]}
    assert len(facts) == 3


async def test_a_change_that_changes_nothing_is_none(made: Any) -> None:
    tenant = await made.ask(
        "PATCH",
        f"/v1/tenants/{made.tenant_id}",
        json={"name": "Clínica Feita", "settings": {"locale": "pt-BR"}},
    )

    assert tenant["revision"] == 1
    assert len(await made.facts("tenant.configured")) == 1


async def test_changes_at_once_are_told_in_their_order(made: Any) -> None:
    path = f"/v1/tenants/{made.tenant_id}"

    await asyncio.gather(
        *(
            made.ask("PATCH", path, json={"settings": {"closing_days": [f"2027-01-0{n}"]}})
            for n in range(1, 9)
        )
    )

    settings = (await made.get(path))["settings"]
    assert (await made.facts("tenant.configured"))[-1]["data"]["closing_days"] == settings["closing_days"]


async def test_what_a_crash_left_untold_is_told_once(made: Any, ingest: Any) -> None:
    await ingest.sql(
        "update tenants set name = 'Depois', revision = revision + 1 where tenant_id = $1", made.tenant_id
    )

    await asyncio.gather(*(ingest.handler(Tenants).sweep() for _ in range(3)))

    facts = await made.facts("tenant.configured")
    assert [fact["data"]["name"] for fact in facts] == ["Clínica Feita", "Depois"]


async def test_telling_again_is_the_same_fact(made: Any, ingest: Any) -> None:
    await ingest.sql("update tenants set told_revision = 0 where tenant_id = $1", made.tenant_id)

    await ingest.handler(Tenants).sweep()

    rows = await ingest.sql("select told_revision from tenants where tenant_id = $1", made.tenant_id)
    assert rows[0]["told_revision"] == 1
    assert len(await made.facts("tenant.configured")) == 1


@pytest.mark.parametrize(
    ("settings", "pointer", "expected"),
    [
        ({"tz": "America/Sampa"}, "/settings/tz", "America/Sao_Paulo"),
        ({"tz": None}, "/settings/tz", "missing"),
        ({"locale": "português"}, "/settings/locale", "pt-BR"),
        (
            {"business_hours": [{"weekday": 8, "opens": "08:00", "closes": "18:00"}]},
            "/settings/business_hours/0/weekday",
            "1 (Monday)",
        ),
        ({"closing_days": ["natal"]}, "/settings/closing_days/0", "2026-11-24"),
        ({"quiet_hours": {"starts": "8pm", "ends": "08:00"}}, "/settings/quiet_hours/starts", "08:30"),
        ({"timezone": "America/Sao_Paulo"}, "/settings/timezone", "known are"),
    ],
)
async def test_a_setting_that_does_not_fit_is_named(
    made: Any, settings: dict[str, Any], pointer: str, expected: str
) -> None:
    problem = await made.ask("PATCH", f"/v1/tenants/{made.tenant_id}", 422, json={"settings": settings})

    assert problem["errors"][0]["pointer"] == pointer
    assert expected in problem["errors"][0]["message"]
    assert len(await made.facts("tenant.configured")) == 1


@pytest.mark.parametrize(
    "tenant_id", ["nexus", "Clínica", "-sul", "", "a" * 64, "clinica_sul", "clinica.sul"]
)
async def test_an_id_that_no_tenant_can_have_is_refused(ingest: Any, tenant_id: str) -> None:
    problem = await ingest.platform().ask(
        "POST", "/v1/tenants", 422, json={"tenant_id": tenant_id, "name": "Clínica"}
    )

    assert problem["errors"][0]["pointer"] == "/tenant_id"


async def test_a_tenant_is_made_once(made: Any, ingest: Any) -> None:
    problem = await ingest.platform().ask(
        "POST", "/v1/tenants", 409, json={"tenant_id": made.tenant_id, "name": "Outra"}
    )

    assert f"PATCH /v1/tenants/{made.tenant_id}" in problem["detail"]
    assert (await made.get(f"/v1/tenants/{made.tenant_id}"))["name"] == "Clínica Feita"


async def test_the_platform_lists_and_configures_every_tenant(made: Any, ingest: Any) -> None:
    platform = ingest.platform()
    listed: list[str] = []
    cursor = None
    while True:
        page = await platform.get("/v1/tenants", limit=2, **({"cursor": cursor} if cursor else {}))
        listed += [tenant["tenant_id"] for tenant in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    tenant = await platform.ask("PATCH", f"/v1/tenants/{made.tenant_id}", json={"name": "Pela plataforma"})

    assert made.tenant_id in listed
    assert listed == sorted(listed)
    assert tenant["name"] == "Pela plataforma"


async def test_a_clinic_reaches_no_tenant_but_itself(made: Any, ingest: Any) -> None:
    other = ingest.clinic()

    await other.get(f"/v1/tenants/{made.tenant_id}", 404)
    await other.ask("PATCH", f"/v1/tenants/{made.tenant_id}", 404, json={"name": "Minha"})
    await other.get("/v1/tenants", 403)
    await other.ask("POST", "/v1/tenants", 403, json={"tenant_id": "nova", "name": "Nova"})
    await other.get(f"/v1/tenants/{other.tenant_id}", 404)


async def test_every_key_of_a_tenant_may_read_its_settings_and_few_may_change_them(
    made: Any, ingest: Any
) -> None:
    viewer = ingest.clinic(Scope.EVENTS_READ, tenant_id=made.tenant_id)

    await viewer.get(f"/v1/tenants/{made.tenant_id}")
    await viewer.ask("PATCH", f"/v1/tenants/{made.tenant_id}", 403, json={"name": "Outra"})
