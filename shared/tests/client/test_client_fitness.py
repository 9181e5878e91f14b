import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from nexus_shared.client import EventInvalid, NexusPublisher
from nexus_shared.client.fitness import fit_line
from nexus_shared.envelope import Event
from nexus_shared.errors import Flaw
from nexus_shared.testing.builders import a_lead_created

PUBLISHER = NexusPublisher("amqp://pub.clinica-sul.crm:x@127.0.0.1/nexus", "clinica-sul", "crm")


def flaws(event: Event, user: str = "pub.clinica-sul.crm") -> tuple[Flaw, ...]:
    with pytest.raises(EventInvalid) as caught:
        fit_line(event, tenant_id="clinica-sul", source="crm", user=user)
    return caught.value.flaws


def with_data(data: dict[str, Any], type: str = "clinic.anything") -> Event:
    return Event(id="1", source="crm", tenantid="clinica-sul", type=type, data=data)


def test_an_event_that_fits_is_written_as_json() -> None:
    event = a_lead_created()
    assert (
        fit_line(event, tenant_id="clinica-sul", source="crm", user="pub.clinica-sul.crm") == event.to_json()
    )


def test_a_field_that_does_not_fit_its_type_is_named_with_what_to_do() -> None:
    (flaw,) = flaws(a_lead_created(data={"phone": "11 91234-5678"}))
    assert flaw.pointer == "/data/phone"
    assert "+5511912345678" in flaw.message


def test_a_missing_field_is_named() -> None:
    (flaw,) = flaws(a_lead_created(data={"lead_id": None}, subject=None))
    assert flaw.pointer == "/data/lead_id"


def test_a_subject_that_contradicts_the_data_is_named() -> None:
    (flaw,) = flaws(a_lead_created(subject="lead/another"))
    assert flaw.pointer == "/subject"


def test_a_type_that_a_service_owns_is_refused_to_a_clinic_and_allowed_to_its_owner() -> None:
    event = with_data({"jti": "k-1"}, type="access.key_revoked")
    (flaw,) = flaws(event)
    assert (flaw.pointer, flaw.code) == ("/type", "not_owner")
    assert fit_line(event, tenant_id="clinica-sul", source="crm", user="svc.ingest")


def test_a_type_that_nobody_knows_in_a_family_of_our_services_is_refused_too() -> None:
    (flaw,) = flaws(with_data({}, type="automation.something_new"))
    assert (flaw.pointer, flaw.code) == ("/type", "not_owner")


def test_an_unknown_type_is_taken_as_it_is() -> None:
    assert fit_line(with_data({"a": [1, {"b": None}]}), tenant_id="clinica-sul", source="crm", user="x")


def test_a_version_of_the_future_is_left_to_the_door() -> None:
    event = a_lead_created(data={"phone": "?"}, schemaversion=99)
    assert fit_line(event, tenant_id="clinica-sul", source="crm", user="x")


def test_dates_and_times_may_be_python_objects() -> None:
    starts = datetime(2027, 3, 1, 9, tzinfo=UTC)
    event = PUBLISHER.event("appointment.confirmed", {"appointment_id": "A-1", "confirmed_at": starts})
    assert b"2027-03-01T09:00:00Z" in fit_line(event, tenant_id="clinica-sul", source="crm", user="x")
    due = PUBLISHER.event("clinic.anything", {"on": date(2027, 3, 1)})
    assert b'"2027-03-01"' in fit_line(due, tenant_id="clinica-sul", source="crm", user="x")


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (math.nan, "/data/deep/0"),
        (2**60, "/data/deep/0"),
        ("a\x00b", "/data/deep/0"),
        ("\ud800", "/data"),
        (object(), "/data"),
        ("x" * 300_000, ""),
    ],
)
def test_what_json_or_the_log_cannot_keep_is_found_before_it_leaves(value: Any, pointer: str) -> None:
    (flaw,) = flaws(with_data({"deep": [value]}))
    assert flaw.pointer == pointer


def test_an_event_of_another_tenant_or_source_is_not_sent() -> None:
    assert flaws(a_lead_created(tenantid="clinica-norte"))[0].pointer == "/tenantid"
    assert flaws(a_lead_created(source="site"))[0].pointer == "/source"


def test_an_envelope_that_does_not_fit_is_explained_attribute_by_attribute() -> None:
    with pytest.raises(EventInvalid) as caught:
        PUBLISHER.event("Lead Created", {}, id="x" * 201, time=datetime(2027, 1, 1))
    assert {flaw.pointer for flaw in caught.value.flaws} == {"/type", "/id", "/time"}
    assert "lower-case letters" in str(caught.value)


def test_an_event_gets_an_id_a_time_and_the_subject_its_data_names() -> None:
    event = PUBLISHER.event("lead.created", {"lead_id": "L-17"})
    assert event.subject == "lead/L-17"
    assert event.time is not None
    assert event.id != PUBLISHER.event("lead.created", {"lead_id": "L-17"}).id
