"""What condition builders learn about a type's fields."""

from __future__ import annotations

import pytest

from nexus_shared.catalogue import DataClass, Kind, all_types, fields_of

LEAD = fields_of("lead.created")
KINDS = {
    ("lead.created", "data.utm.source"): Kind.TEXT,
    ("lead.created", "data.consent"): Kind.OBJECT,
    ("lead.created", "data.consent.whatsapp"): Kind.BOOLEAN,
    ("lead.created", "data.consent.at"): Kind.DATETIME,
    ("lead.updated", "data.previous"): Kind.OBJECT,
    ("lead.qualified", "data.by"): Kind.ENUM,
    ("patient.registered", "data.birth_date"): Kind.DATE,
    ("invoice.issued", "data.amount_cents"): Kind.MONEY,
    ("survey.answered", "data.score"): Kind.NUMBER,
    ("ai.sentiment_detected", "data.risk_flags"): Kind.LIST,
    ("appointment.rescheduled", "data.from.starts_at"): Kind.DATETIME,
    ("whatsapp.session.status_changed", "data.from"): Kind.TEXT,
    ("tenant.configured", "data.tz"): Kind.TEXT,
}


@pytest.mark.parametrize(("name", "path"), KINDS)
def test_a_field_has_a_kind(name: str, path: str) -> None:
    assert fields_of(name)[path].kind is KINDS[name, path]


def test_the_envelope_can_be_asked_too() -> None:
    assert {path: str(LEAD[path].kind) for path in ("type", "source", "subject", "time")} == {
        "type": "text",
        "source": "text",
        "subject": "text",
        "time": "datetime",
    }


def test_of_an_unknown_type_only_the_envelope_is_known() -> None:
    assert set(fields_of("orthodontics.bracket_broke")) == {"type", "source", "subject", "time"}


def test_a_closed_list_of_values_says_so() -> None:
    by = fields_of("lead.qualified")["data.by"]
    assert (by.values, by.is_closed) == (("ai", "user"), True)


def test_usual_values_are_shown_and_others_may_come() -> None:
    assert LEAD["data.source"].values == ("ads", "whatsapp", "site", "referral")
    assert not LEAD["data.source"].is_closed
    assert all_types()["lead.created"].problems({"lead_id": "L-1", "source": "tiktok"}) == []


def test_a_list_tells_the_kind_of_its_items() -> None:
    assert fields_of("appointment.completed")["data.procedure_codes"].items is Kind.TEXT
    assert fields_of("tenant.configured")["data.closing_days"].items is Kind.DATE


def test_a_condition_cannot_address_the_objects_of_a_list() -> None:
    assert "data.items" in fields_of("quote.presented")
    assert "data.items.price_cents" not in fields_of("quote.presented")
    assert "data.items.price_cents" in all_types()["quote.presented"].all_fields


def test_old_values_are_offered_only_where_the_type_carries_them() -> None:
    assert fields_of("lead.updated")["data.status"].has_previous
    assert not fields_of("lead.updated")["data.changed_fields"].has_previous
    assert not LEAD["data.status"].has_previous


def test_a_field_inside_a_sealed_object_is_sealed() -> None:
    assert fields_of("whatsapp.message.received")["data.media.size"].data_class is DataClass.PERSONAL
    assert fields_of("lead.created")["data.consent.whatsapp"].data_class is DataClass.OPEN


def test_required_fields_are_marked() -> None:
    assert [
        field.path for field in LEAD.values() if field.is_required and field.path.startswith("data.")
    ] == ["data.lead_id"]
