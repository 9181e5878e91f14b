from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_ingest.domain.door import Admitted, Moment, Publisher, Refused, admit, broker_publisher, owners_of
from nexus_shared import catalogue
from nexus_shared.ids import TenantId
from nexus_shared.strict_json import inspect
from nexus_shared.testing.builders import NOW, a_lead_created

CRM = Publisher("pub.clinica-sul.crm", TenantId("clinica-sul"))
HISTORIAN = CRM._replace(may_backfill=True)
GATEWAY = Publisher("svc.whatsapp-gateway", None, service="whatsapp-gateway")
INGEST = Publisher("svc.ingest", None, service="ingest")
MOMENT = Moment.at(NOW, timedelta(days=35))


def an_event(**changes: Any) -> dict[str, Any]:
    return {**a_lead_created().as_dict(), **changes}


def admitted(value: Any, publisher: Publisher = CRM, key: str = "") -> Admitted:
    return admit(inspect(value), publisher, MOMENT, key)


def refusal(value: Any, publisher: Publisher = CRM, key: str = "") -> tuple[str, str]:
    """The reason and the first flaw's pointer."""
    with pytest.raises(Refused) as refused:
        admitted(value, publisher, key)
    assert all(len(flaw.message) > 10 for flaw in refused.value.flaws)
    return refused.value.reason, refused.value.flaws[0].pointer


def test_a_good_event_is_admitted_with_its_defaults_filled_in() -> None:
    event = admitted(an_event())
    assert event.is_known
    assert (event.correlation_id, event.occurred_at) == (a_lead_created().id, NOW)
    assert (event.subject, event.person) == ("lead/lead-1", "lead/lead-1")
    assert catalogue.join(dict(event.open), dict(event.sealed)) == a_lead_created().data
    assert event.extensions == {}


def test_personal_data_is_cut_out_and_open_data_stays() -> None:
    event = admitted(an_event())
    assert {"name", "phone", "email", "message_first"} <= event.sealed.keys()
    assert {"lead_id", "source", "status"} <= event.open.keys()


def test_data_of_an_unknown_type_is_sealed_whole_and_marked_unknown() -> None:
    event = admitted(an_event(type="lab.result_arrived", data={"patient_id": "P-1", "value": 7}))
    assert (event.is_known, event.open, event.sealed) == (False, {}, {"patient_id": "P-1", "value": 7})
    assert event.person == "patient/P-1"


def test_a_version_from_the_future_is_recorded_as_unknown() -> None:
    event = admitted(an_event(schemaversion=9, data={"anything": "goes"}))
    assert (event.is_known, event.open, event.sealed) == (False, {}, {"anything": "goes"})


def test_an_event_without_a_subject_gets_the_one_its_data_names() -> None:
    without = an_event()
    del without["subject"]
    assert admitted(without).subject == "lead/lead-1"


def test_an_event_without_a_time_happened_now() -> None:
    without = an_event()
    del without["time"]
    assert admitted(without).occurred_at == NOW


def test_unknown_attributes_are_kept_except_what_the_log_itself_adds() -> None:
    event = admitted(an_event(clinicunit="paulista", recordedtime="2026-11-24T12:00:00Z", sequence="42"))
    assert event.extensions == {"clinicunit": "paulista"}


@pytest.mark.parametrize(
    ("changes", "publisher", "key", "expected"),
    [
        ({"tenantid": "clinica-norte"}, CRM, "", ("tenant_mismatch", "/tenantid")),
        ({"tenantid": "nexus"}, CRM, "", ("tenant_mismatch", "/tenantid")),
        ({"tenantid": "nexus"}, Publisher("x", TenantId("nexus")), "", ("tenant_mismatch", "/tenantid")),
        ({}, CRM, "clinica-sul.lead.updated", ("key_mismatch", "/type")),
        ({}, CRM, "clinica-norte.lead.created", ("key_mismatch", "/type")),
        ({}, CRM, "clinica-sul.batch", ("key_mismatch", "/type")),
        ({}, CRM, "lead.created", ("key_mismatch", "/type")),
        ({"type": "whatsapp.message.received", "data": {}}, CRM, "", ("not_owner", "/type")),
        ({"type": "automation.action_succeeded", "data": {}}, CRM, "", ("not_owner", "/type")),
        ({"type": "automation.invented", "data": {}}, CRM, "", ("not_owner", "/type")),
        ({"type": "access.key_revoked", "data": {}}, GATEWAY, "", ("not_owner", "/type")),
        ({"time": (NOW + timedelta(days=365)).isoformat()}, CRM, "", ("time_ahead", "/time")),
        ({"time": (NOW - timedelta(days=365)).isoformat()}, CRM, "", ("too_old", "/time")),
        ({"time": "0001-01-01T00:00:00+14:00"}, CRM, "", ("too_old", "/time")),
        ({"time": "9999-12-31T23:59:59-14:00"}, CRM, "", ("time_ahead", "/time")),
        ({"data": {"phone": "123"}}, CRM, "", ("schema", "/data/lead_id")),
        ({"subject": "patient/7"}, CRM, "", ("schema", "/subject")),
        ({"type": "Lead Created"}, CRM, "", ("envelope", "/type")),
        ({"data": {"x": 2**60}}, CRM, "", ("number_too_large", "/data/x")),
    ],
)
def test_what_a_publisher_may_not_say_is_refused_with_reason_and_place(
    changes: dict[str, Any], publisher: Publisher, key: str, expected: tuple[str, str]
) -> None:
    assert refusal(an_event(**changes), publisher, key) == expected


@pytest.mark.parametrize("value", [None, 1, "x", [], [{"id": "1"}]])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert refusal(value) == ("envelope", "")


def test_the_edges_of_time_are_inside() -> None:
    for time in (NOW + timedelta(hours=24), NOW - timedelta(days=35)):
        assert admitted(an_event(time=time.isoformat())).occurred_at == time


def test_history_may_be_as_old_as_it_is_for_a_key_that_may_backfill() -> None:
    event = admitted(an_event(time="1998-05-17T10:00:00-03:00"), HISTORIAN)
    assert event.occurred_at == datetime(1998, 5, 17, 13, tzinfo=UTC)
    assert admitted(an_event(time="0001-01-01T00:00:00+14:00"), HISTORIAN).occurred_at.year == 1
    assert refusal(an_event(time=(NOW + timedelta(days=2)).isoformat()), HISTORIAN)[0] == "time_ahead"


def test_times_are_the_same_moment_in_utc() -> None:
    time = NOW.astimezone().isoformat()
    assert admitted(an_event(time=time)).occurred_at.utcoffset() == timedelta(0)


def test_a_service_speaks_for_every_tenant_about_what_it_owns() -> None:
    for tenant in ("clinica-sul", "clinica-norte", "nexus"):
        event = an_event(tenantid=tenant, type="access.revocations_listed", data={"jtis": []}, subject=None)
        assert admitted(event, INGEST, "nexus.batch").event.tenantid == tenant


def test_types_nobody_knows_belong_to_nobody_except_in_families_of_ours() -> None:
    assert owners_of("lab.result_arrived") == frozenset()
    assert owners_of("lead.invented") == frozenset()
    assert "trigger-processor" in owners_of("automation.invented")


@pytest.mark.parametrize(
    ("key", "user", "tenant", "service"),
    [
        ("clinica-sul.lead.created", "pub.clinica-sul.crm", "clinica-sul", ""),
        ("clinica-sul.batch", "", "clinica-sul", ""),
        ("nexus.batch", "svc.ai-service", None, "ai-service"),
        ("", "", "", ""),
        ("\x00.x", "pub.\x00", "\x00", ""),
    ],
)
def test_who_speaks_is_what_the_broker_has_checked(
    key: str, user: str, tenant: str | None, service: str
) -> None:
    publisher = broker_publisher(key, user)
    assert (publisher.tenant_id, publisher.service) == (tenant, service)
    assert publisher.name


USUAL = st.sampled_from(["+5511912345678", "2026-11-24", "lead-1"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6) | USUAL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.sampled_from(list(catalogue.all_types().values())), st.data())
def test_whatever_a_publisher_sends_is_admitted_or_refused_and_nothing_else(
    kind: catalogue.EventType, data: st.DataObject
) -> None:
    names = list(kind.data.model_fields)
    content = data.draw(st.dictionaries(st.sampled_from(names), JSON, max_size=4) if names else st.just({}))
    owner = next(iter(kind.owners), "")
    publisher = Publisher("test", None, service=owner or "crm")
    subject = data.draw(st.none() | st.sampled_from(["lead/1", "patient/2", "x"]))
    event = an_event(type=kind.name, data=content, subject=subject)
    try:
        found = admitted(event, publisher)
    except Refused as refused:
        assert refused.reason == "schema"
        assert all(flaw.pointer.startswith(("/data", "/subject")) for flaw in refused.flaws)
    else:
        assert catalogue.join(dict(found.open), dict(found.sealed)) == content
        assert len(found.subject or "") <= 200
