"""The catalogue as a whole: what is in it, and what is true of every type."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from nexus_shared.catalogue import FAMILIES, EventType, all_types, find, matching
from nexus_shared.catalogue.base import Part
from nexus_shared.catalogue.event_type import ACTION_OWNERS
from nexus_shared.catalogue.fields import declared
from nexus_shared.envelope import TYPE_PATTERN

EVERY_TYPE = tuple(all_types().values())

# Families that belong to one service of ours.
OWNED_FAMILIES = {
    "whatsapp": {"whatsapp-gateway"},
    "ai": {"ai-service"},
    "automation": {"trigger-processor"},
    "workflow": {"n8n-bridge"},
    "notificame": {"notificame-gateway"},
    "access": {"ingest"},
    "event": {"ingest"},
    "tenant": {"ingest"},
}


def parts_of(model: type[Part]) -> Iterator[type[Part]]:
    yield model
    for field in declared(model):
        if field.part is not None:
            yield from parts_of(field.part)


def test_every_type_says_what_it_means_to_people() -> None:
    for each in EVERY_TYPE:
        assert each.meaning and not each.meaning.endswith("."), each.name
        assert each.meaning_pt.endswith("."), each.name


def test_every_name_fits_the_envelope() -> None:
    assert all(re.match(TYPE_PATTERN, each.name) and len(each.name) <= 100 for each in EVERY_TYPE)


def test_every_field_has_a_description() -> None:
    for each in EVERY_TYPE:
        assert all(field.description for field in each.all_fields.values()), each.name


def test_every_object_lets_unknown_fields_through() -> None:
    for each in EVERY_TYPE:
        assert all(part.model_config["extra"] == "ignore" for part in parts_of(each.data)), each.name


def test_only_what_a_fact_is_nothing_without_is_required() -> None:
    for each in EVERY_TYPE:
        required = [field for field in declared(each.data) if field.is_required]
        assert len(required) <= 3, each.name
        assert not any(field.own.is_sealed for field in required), each.name


def test_every_one_of_names_fields_of_the_type() -> None:
    for each in EVERY_TYPE:
        assert set(each.one_of) <= set(each.data.model_fields), each.name


def test_every_class_describes_one_type() -> None:
    models = [each.data for each in all_types().values()]
    assert len(set(models)) == len(models) == 84


def test_every_type_lies_in_the_module_of_its_family() -> None:
    for family in FAMILIES:
        for event_type in family.types:
            assert event_type.family == family.name
            assert event_type.data.__module__.endswith(f".{family.name}")


def test_every_class_is_named_like_its_type() -> None:
    for name, event_type in all_types().items():
        assert event_type.data.__name__.lower() == re.sub(r"[._]", "", name)


def owners_expected(event_type: EventType) -> set[str]:
    if event_type.is_derived:
        return {"trigger-processor"}
    if event_type.name.startswith("automation.action_") and not event_type.name.endswith("suppressed"):
        return set(ACTION_OWNERS)
    return OWNED_FAMILIES.get(event_type.family, set())


def test_a_type_is_published_by_its_owners_only() -> None:
    for each in EVERY_TYPE:
        assert each.owners == owners_expected(each), each.name


def test_what_nexus_derives_itself_is_marked() -> None:
    assert sorted(name for name, each in all_types().items() if each.is_derived) == [
        "appointment.reminder_window_reached",
        "conversation.went_unanswered",
        "lead.went_idle",
        "patient.became_inactive",
        "patient.birthday_reached",
        "patient.reactivated",
        "payment.due_date_approached",
        "survey.detractor_identified",
    ]


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("lead.status_changed", "lead/{lead_id}"),
        ("patient.birthday_reached", "patient/{patient_id}"),
        ("waitlist.joined", "patient/{patient_id}"),
        ("referral.made", "patient/{patient_id}"),
        ("contact.erased", "contact/{contact_id}"),
        ("contact.merged", "contact/{kept_contact_id}"),
        ("appointment.missed", "appointment/{appointment_id}"),
        ("ai.no_show_predicted", "appointment/{appointment_id}"),
        ("quote.declined", "quote/{quote_id}"),
        ("invoice.issued", "invoice/{invoice_id}"),
        ("payment.refunded", "invoice/{invoice_id}"),
        ("whatsapp.message.received", "conversation/{conversation_id}"),
        ("notificame.message.failed", "conversation/{conversation_id}"),
        ("conversation.went_unanswered", "conversation/{conversation_id}"),
        ("ai.reply_reviewed", "conversation/{conversation_id}"),
        ("survey.answered", "survey/{survey_id}"),
        ("automation.action_unknown", "run/{run_id}"),
        ("automation.trigger_deleted", "trigger/{trigger_id}"),
        ("access.revocations_listed", None),
    ],
)
def test_a_type_is_about_one_thing(name: str, subject: str | None) -> None:
    assert all_types()[name].subject == subject


def test_an_unknown_name_finds_nothing() -> None:
    assert find("lead.creatd") is None


def test_the_list_of_types_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        all_types()["lead.created"] = all_types()["lead.lost"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("lead.created", ["lead.created"]),
        ("referral.*", ["referral.made"]),
        ("*.message.failed", ["whatsapp.message.failed", "notificame.message.failed"]),
        ("integration.d*", ["integration.degraded", "integration.disconnected"]),
        ("lead", []),
        ("lead.create?", []),
        ("", []),
    ],
)
def test_a_star_stands_for_anything(pattern: str, names: list[str]) -> None:
    assert [each.name for each in matching(pattern)] == names


def test_a_star_alone_matches_every_type() -> None:
    assert matching("*") == tuple(all_types().values())
