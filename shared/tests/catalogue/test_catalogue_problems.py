"""What is said about data that does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_shared.catalogue import EventType, all_types
from nexus_shared.catalogue.flaws import LIMIT
from nexus_shared.errors import Flaw

SECRET = "SEGREDO"


def check(name: str, data: Any, subject: str | None = None) -> list[Flaw]:
    return all_types()[name].problems(data, subject)


def flaw_at(pointer: str, flaws: list[Flaw]) -> Flaw:
    return next(flaw for flaw in flaws if flaw.pointer == pointer)


def test_data_that_fits_has_no_problems() -> None:
    assert check("lead.created", {"lead_id": "L-17", "phone": "+5511987654321"}, "lead/L-17") == []


def test_fields_that_nobody_knows_are_let_through() -> None:
    assert (
        check("lead.created", {"lead_id": "L-17", "hair": {"colour": ["brown"]}, "utm": {"term": "x"}}) == []
    )


def test_null_is_the_same_as_leaving_an_optional_field_out() -> None:
    assert check("lead.created", {"lead_id": "L-17", "phone": None, "utm": None}) == []


def test_a_missing_field_is_named_with_its_meaning() -> None:
    (flaw,) = check("lead.created", {})
    assert flaw.pointer == "/data/lead_id"
    assert flaw.code == "missing"
    assert "The lead's id in the publishing system" in flaw.message
    assert flaw.message.endswith("Add it.")


@pytest.mark.parametrize("name", ["leadId", "lead-id", "LEAD_ID", "lead_ids"])
def test_a_missing_field_that_is_there_under_a_similar_name_is_pointed_out(name: str) -> None:
    (flaw,) = check("lead.created", {name: "L-17"})
    assert f'Did you mean "{name}"? Rename it to "lead_id".' in flaw.message


def test_a_known_field_is_never_taken_for_a_misspelled_one() -> None:
    (flaw,) = check("whatsapp.message.received", {"reply_to_message_id": "M-1"})
    assert "Did you mean" not in flaw.message


def test_a_similar_name_is_found_inside_a_list_too() -> None:
    hours = [{"weekday": 1, "open": "08:00", "closes": "18:00"}]
    (flaw,) = check("tenant.configured", {"tz": "America/Sao_Paulo", "business_hours": hours})
    assert flaw.pointer == "/data/business_hours/0/opens"
    assert 'Did you mean "open"?' in flaw.message


def test_one_of_several_fields_is_needed() -> None:
    data = {"appointment_id": "A-1", "starts_at": "2026-12-01T10:30:00-03:00", "patientId": "P-1"}
    (flaw,) = check("appointment.scheduled", data)
    assert flaw.pointer == "/data"
    assert "at least one of patient_id, lead_id" in flaw.message
    assert 'Rename it to "patient_id"' in flaw.message
    assert check("appointment.scheduled", data | {"lead_id": "L-1"}) == []


@pytest.mark.parametrize(
    ("data", "pointer", "words"),
    [
        ({"lead_id": 17}, "/data/lead_id", "got 17. Send it as text, in quotes."),
        ({"lead_id": ""}, "/data/lead_id", "Give it a value."),
        ({"lead_id": None}, "/data/lead_id", "got null. Give it a value."),
        ({"lead_id": "L\u0000"}, "/data/lead_id", "without control characters"),
        ({"lead_id": "x" * 181}, "/data/lead_id", "got text of 181 characters"),
        ({"phone": ""}, "/data/phone", "Leave the field out when there is no value."),
        ({"phone": "(11) 98765-4321"}, "/data/phone", "like +5511912345678, got text of 15 characters"),
        ({"source": ["ads"]}, "/data/source", "got a list of 1"),
        ({"utm": "google"}, "/data/utm", "an object with source, medium, campaign, ad_id"),
        ({"utm": {"ad_id": 7}}, "/data/utm/ad_id", "Send it as text, in quotes."),
        ({"consent": {"whatsapp": "sim"}}, "/data/consent/whatsapp", 'got "sim". Send true or false'),
        ({"consent": {"at": "2026-11-24T10:00:00"}}, "/data/consent/at", "Add the offset, such as -03:00."),
        ({"consent": {"at": 1764000000}}, "/data/consent/at", "a date and time with offset"),
        ({"consent": {"at": "1764000000"}}, "/data/consent/at", "a date and time with offset"),
        ({"consent": {"proof": 3}}, "/data/consent/proof", "got a number"),
    ],
)
def test_a_wrong_value_of_a_lead_is_named(data: dict[str, Any], pointer: str, words: str) -> None:
    (flaw,) = check("lead.created", {"lead_id": "L-17"} | data)
    assert flaw.pointer == pointer
    assert words in flaw.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"amount_cents": "100"}, 'got "100". Send a number, without quotes.'),
        ({"amount_cents": 1.5}, "got 1.5. Send cents, without a decimal point."),
        ({"amount_cents": True}, "a whole number of cents, like 12990 for R$ 129,90, got true"),
        ({"amount_cents": -1}, "got -1"),
        ({"due_date": "24/11/2026"}, "a date, like 2026-11-24"),
        ({"due_date": "2026-02-30"}, 'got "2026-02-30"'),
        ({"due_date": "2026-11-24T00:00:00"}, "a date, like 2026-11-24"),
        ({"due_date": 20261124}, "a date, like 2026-11-24"),
        ({"payment_url": "javascript:alert(1)"}, "a web address"),
    ],
)
def test_a_wrong_value_of_an_invoice_is_named(data: dict[str, Any], words: str) -> None:
    (flaw,) = check("invoice.issued", {"invoice_id": "F-1", "amount_cents": 100} | data)
    assert flaw.pointer == f"/data/{next(iter(data))}"
    assert words in flaw.message


@pytest.mark.parametrize("zone", ["America/Sao_Paolo", "../../etc/passwd", "America", "-03:00"])
def test_a_time_zone_has_an_iana_name(zone: str) -> None:
    assert [flaw.pointer for flaw in check("tenant.configured", {"tz": zone})] == ["/data/tz"]


@pytest.mark.parametrize("share", [1.5, -0.1, float("nan"), float("inf"), "0.5", True])
def test_a_probability_lies_between_0_and_1(share: Any) -> None:
    assert check("ai.no_show_predicted", {"appointment_id": "A-1", "probability": share})
    assert check("ai.no_show_predicted", {"appointment_id": "A-1", "probability": 1}) == []


def test_a_closed_list_of_values_is_shown() -> None:
    data = {
        "appointment_id": "A",
        "lead_id": "L",
        "starts_at": "2026-12-01T10:30:00-03:00",
        "modality": "remote",
    }
    (flaw,) = check("appointment.scheduled", data)
    assert 'Expected one of in_person, online, got "remote"' in flaw.message


@pytest.mark.parametrize("data", [[], "text", 3, None, True])
def test_data_that_is_no_object_is_named_as_a_whole(data: Any) -> None:
    (flaw,) = check("appointment.scheduled", data, "appointment/A-1")
    assert flaw.pointer == "/data"
    assert flaw.message.startswith("Expected an object, got ")


def test_all_problems_of_an_event_are_named_at_once() -> None:
    flaws = check(
        "lead.created", {"lead_id": 1, "phone": "x", "email": "x", "consent": {"at": "x"}}, "patient/P-1"
    )
    assert [flaw.pointer for flaw in flaws] == [
        "/data/lead_id",
        "/data/phone",
        "/data/email",
        "/data/consent/at",
        "/subject",
    ]


def test_a_list_is_refused_at_its_first_bad_item() -> None:
    (flaw,) = check("access.revocations_listed", {"jtis": [1] * 100_000})
    assert flaw.pointer == "/data/jtis/0"


def test_only_so_many_problems_are_named() -> None:
    data = {name: object() for name in all_types()["appointment.scheduled"].data.model_fields}
    flaws = check("appointment.scheduled", data | {"lead_id": 1})
    assert len(flaws) <= LIMIT + 1


@pytest.mark.parametrize("value", [SECRET, [SECRET], {SECRET: SECRET}, SECRET * 20_000, [[SECRET]]])
def test_a_sealed_value_is_never_repeated(value: Any) -> None:
    for event_type in all_types().values():
        for path in sealed_paths(event_type):
            data: Any = value
            for name in reversed(path.split(".")[1:]):
                data = {name: data}
            assert SECRET not in json.dumps([flaw.as_dict() for flaw in event_type.problems(data)]), path


def sealed_paths(event_type: EventType) -> list[str]:
    fields = event_type.all_fields.values()
    return [field.path for field in fields if field.data_class.is_sealed and field.is_addressable]


def test_a_long_open_value_is_not_repeated() -> None:
    (flaw,) = check("invoice.issued", {"invoice_id": "F-1", "amount_cents": "9" * 100})
    assert "got text of 100 characters" in flaw.message


@pytest.mark.parametrize("subject", ["patient/L-17", "lead/", "lead", "L-17", "", "Lead/L-17"])
def test_a_subject_has_the_form_of_its_type(subject: str) -> None:
    (flaw,) = check("lead.created", {"lead_id": "L-17"}, subject)
    assert flaw.pointer == "/subject"
    assert '"lead/{lead_id}"' in flaw.message


def test_a_subject_of_another_form_is_not_repeated() -> None:
    (flaw,) = check("lead.created", {"lead_id": "L-17"}, SECRET)
    assert SECRET not in flaw.message


def test_subject_and_data_must_name_the_same() -> None:
    (flaw,) = check("lead.created", {"lead_id": "L-17"}, "lead/L-18")
    assert flaw.pointer == "/subject"
    assert 'Expected "lead/L-17" as /data/lead_id says' in flaw.message


def test_a_subject_may_name_what_the_data_leaves_out() -> None:
    assert check("contact.consent_granted", {"purpose": "care"}, "contact/C-1") == []


def test_a_type_may_be_about_one_thing_or_another() -> None:
    assert check("ai.sentiment_detected", {"survey_id": "S-1"}, "survey/S-1") == []
    assert check("ai.sentiment_detected", {"message_id": "M-1"}, "conversation/C-1") == []
    assert check("ai.sentiment_detected", {"survey_id": "S-1"}, "survey/S-2")
    assert check("ai.sentiment_detected", {"survey_id": "S-1"}, "lead/L-1")


def test_any_subject_will_do_where_the_type_has_none() -> None:
    assert check("access.revocations_listed", {"jtis": []}, "whatever") == []


@pytest.mark.parametrize(
    ("name", "data", "subject"),
    [
        ("lead.created", {"lead_id": "L-17"}, "lead/L-17"),
        ("lead.created", {"lead_id": 17}, None),
        ("lead.created", {}, None),
        ("ai.sentiment_detected", {"survey_id": "S-1"}, "survey/S-1"),
        ("ai.sentiment_detected", {"survey_id": "S-1", "conversation_id": "C-1"}, "conversation/C-1"),
        ("appointment.slot_released", {"cause_appointment_id": "A-1"}, "appointment/A-1"),
        ("tenant.configured", {"tz": "America/Sao_Paulo"}, None),
        ("access.revocations_listed", {"jtis": []}, None),
    ],
)
def test_an_absent_subject_is_filled_in_from_the_data(
    name: str, data: dict[str, Any], subject: str | None
) -> None:
    assert all_types()[name].subject_of(data) == subject
