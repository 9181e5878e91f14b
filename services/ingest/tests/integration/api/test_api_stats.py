"""The log in numbers: the same before and after they are rolled up, however many roll them up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nexus_ingest.store.counts import CountStore
from nexus_shared import topology
from nexus_shared.testing.builders import a_lead_created, a_payment_overdue

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


@pytest.fixture
def counts(ingest: Any) -> CountStore:
    return CountStore(ingest.service.resources[0])


async def test_events_are_counted_once_per_type_before_and_after_the_roll_up(
    clinic: Any, counts: CountStore, ingest: Any
) -> None:
    await clinic.publish(*(a_lead_created(number=n, id=f"e-{n}") for n in range(5)), a_payment_overdue())
    before = await clinic.get("/v1/events/stats")

    while sum(await asyncio.gather(*(counts.roll_up(3) for _ in range(4)))):
        pass
    after = await clinic.get("/v1/events/stats")

    assert {count["type"]: count["events"] for count in before["counts"]} == {
        "lead.created": 5,
        "payment.overdue": 1,
    }
    assert after["counts"] == before["counts"]
    assert (after["recorded"], after["pending"], after["processed"]) == (6, 6, 0)
    rows = await ingest.sql("select sum(events) from event_counts where tenant_id = $1", clinic.tenant_id)
    assert rows[0]["sum"] == 6


async def test_days_begin_in_the_tenants_time_zone(clinic: Any) -> None:
    await clinic.publish(a_lead_created())

    stats = await clinic.get("/v1/events/stats", interval="day")

    assert stats["tz"] == "America/Sao_Paulo"
    (count,) = stats["counts"]
    assert datetime.fromisoformat(count["starts_at"]).astimezone(UTC).hour == 3
    assert datetime.fromisoformat(stats["from"]).astimezone(UTC).hour == 3


async def test_what_waits_for_trigger_processor_is_the_lag(
    clinic: Any, ingest: Any, eventually: Eventually
) -> None:
    await clinic.publish(a_lead_created(id="e-1"), a_lead_created(id="e-2", number=2))
    waiting = await clinic.get("/v1/events/stats")

    head = (await ingest.sql("select last_position from log_head"))[0]["last_position"]
    await ingest.command("ingest.report_positions", {"lane_positions": [head] * topology.LANES})

    async def caught_up() -> bool:
        return bool((await clinic.get("/v1/events/stats"))["lag_positions"] == 0)

    await eventually(caught_up)
    done = await clinic.get("/v1/events/stats")
    assert (waiting["pending"], waiting["lag_positions"] >= 2, waiting["lag_seconds"] > 0) == (2, True, True)
    assert (done["pending"], done["processed"], done["lag_seconds"]) == (0, 2, 0)


async def test_a_time_without_events_is_empty(clinic: Any) -> None:
    await clinic.publish(a_lead_created())
    until = datetime.now(UTC) - timedelta(days=2)

    stats = await clinic.get("/v1/events/stats", until=until.isoformat())

    assert (stats["counts"], stats["recorded"], stats["pending"]) == ([], 0, 0)
    assert stats["lag_positions"] > 0


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-01-01T00:00:00Z", "interval": "hour"},
        {"from": "2027-01-02T00:00:00Z", "until": "2027-01-01T00:00:00Z"},
        {"from": "2020-01-01T00:00:00Z", "interval": "day"},
    ],
)
async def test_a_time_too_long_or_upside_down_is_refused(clinic: Any, params: dict[str, str]) -> None:
    problem = await clinic.ask("GET", "/v1/events/stats", 422, params=params)

    assert problem["errors"][0]["pointer"] == "/from"


async def test_metrics_tell_what_was_appended(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="e-1"), a_lead_created(id="e-1"))

    text = (await clinic.http.get("/metrics")).text

    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['nexus_events_appended_total{status="stored"}']) >= 1
    assert float(values['nexus_events_appended_total{status="duplicate"}']) >= 1
    assert float(values["nexus_append_seconds_count"]) >= 1
    assert float(values["nexus_tail_events_total"]) >= 1
    assert 'nexus_relay_lag_events{relay="log"}' in values
    assert clinic.tenant_id not in text
