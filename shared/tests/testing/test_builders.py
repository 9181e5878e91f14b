"""Built events are real ones: they fit the catalogue and are as large as those of a clinic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nexus_shared import catalogue
from nexus_shared.envelope import Event
from nexus_shared.testing.builders import (
    a_lead_created,
    a_lead_status_changed,
    a_payment_overdue,
    an_appointment_completed,
    an_appointment_scheduled,
)

BUILDERS = (
    a_lead_created,
    a_lead_status_changed,
    an_appointment_scheduled,
    an_appointment_completed,
    a_payment_overdue,
)


@pytest.mark.parametrize("build", BUILDERS)
def test_every_built_event_fits_the_catalogue(build: Callable[..., Event]) -> None:
    for number in range(60):
        event = build(number=number)
        event_type = catalogue.find(event.type)
        assert event_type is not None
        assert event_type.problems(event.data) == []


@pytest.mark.parametrize("build", [a_lead_created, an_appointment_scheduled, a_payment_overdue])
def test_the_events_of_the_benchmarks_are_full_size(build: Callable[..., Event]) -> None:
    assert min(len(build(number=number).to_json()) for number in range(60)) >= 600


@pytest.mark.parametrize("build", BUILDERS)
def test_the_same_arguments_build_the_same_event(build: Callable[..., Event]) -> None:
    assert build(number=5) == build(number=5)
    assert build(number=5).id != build(number=6).id
    assert build(number=5).id != build(number=5, tenantid="clinica-norte").id


def test_changes_reach_envelope_and_data() -> None:
    event = a_lead_created(source="site", hops=3, data={"status": "qualificado", "phone": None})

    assert (event.source, event.hops, event.data["status"]) == ("site", 3, "qualificado")
    assert "phone" not in event.data
    assert event.data["name"]
