"""Cutting data in two at the door, and joining it again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_shared.catalogue import DataClass, EventType, all_types, join, split_unknown

NAMES = sorted({field.name for each in all_types().values() for field in each.all_fields.values()})

names = st.sampled_from(NAMES) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)
types = st.sampled_from(list(all_types().values()))


@st.composite
def data_of_types(draw: st.DrawFn) -> tuple[EventType, dict[str, Any]]:
    """Data with the type's own field names, right and wrong values, and fields nobody knows."""
    event_type = draw(types)
    own = st.sampled_from(sorted({field.name for field in event_type.all_fields.values()}))
    objects = st.dictionaries(own | st.text(max_size=4), scalars, max_size=4)
    values = anything | objects | st.lists(objects, max_size=2)
    return event_type, draw(st.dictionaries(own | names, values, max_size=6))


def leaves(data: dict[str, Any], prefix: str = "data") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted path; lists' objects without an index, as the catalogue names them."""
    for name, value in data.items():
        path = f"{prefix}.{name}"
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, dict):
                yield from leaves(item, path)
        yield path, value


def as_text(data: object) -> str:
    return json.dumps(data, sort_keys=True)


@given(data_of_types())
@settings(max_examples=60)
def test_what_is_split_joins_to_exactly_what_was_given(case: tuple[EventType, dict[str, Any]]) -> None:
    event_type, data = case
    before = copy.deepcopy(data)
    assert as_text(join(*event_type.split(data))) == as_text(before)
    assert as_text(data) == as_text(before)


@given(data_of_types())
@settings(max_examples=60)
def test_only_what_the_catalogue_calls_open_or_financial_stays_readable(
    case: tuple[EventType, dict[str, Any]],
) -> None:
    event_type, data = case
    readable, _ = event_type.split(data)
    for path, value in leaves(readable):
        field = event_type.all_fields.get(path)
        if field is None:
            assert is_below_an_open_leaf(event_type, path), f"{path} = {value!r} is unknown and can be read"
        else:
            assert not field.data_class.is_sealed, f"{path} = {value!r} is {field.data_class} and can be read"


def is_below_an_open_leaf(event_type: EventType, path: str) -> bool:
    """An object where the catalogue has a plain value: no check lets it in, so it need not be cut."""
    while path := path.rpartition(".")[0]:
        field = event_type.all_fields.get(path)
        if field is not None:
            has_fields = any(other.startswith(path + ".") for other in event_type.all_fields)
            return not has_fields and not field.data_class.is_sealed
    return False


@given(st.dictionaries(names, anything, max_size=6))
@settings(max_examples=20)
def test_data_of_an_unknown_type_is_sealed_whole(data: dict[str, Any]) -> None:
    assert split_unknown(data) == ({}, data)
    assert as_text(join(*split_unknown(data))) == as_text(data)


def split(name: str, data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return all_types()[name].split(data)


def test_personal_health_and_unknown_fields_are_sealed() -> None:
    data = {
        "appointment_id": "A-1",
        "professional_name": "Dra. Beatriz",
        "service_name": "Implante",
        "price_cents": 25000,
        "colour": "blue",
    }
    assert split("appointment.scheduled", data) == (
        {"appointment_id": "A-1", "price_cents": 25000},
        {"professional_name": "Dra. Beatriz", "service_name": "Implante", "colour": "blue"},
    )


def test_an_object_is_cut_field_by_field() -> None:
    consent = {"whatsapp": True, "proof": {"ip": "203.0.113.17"}, "cpf": "000"}
    assert split("lead.created", {"consent": consent}) == (
        {"consent": {"whatsapp": True}},
        {"consent": {"proof": {"ip": "203.0.113.17"}, "cpf": "000"}},
    )


def test_an_object_of_open_fields_stays_in_one_piece() -> None:
    data = {"utm": {"source": "google", "ad_id": "1"}}
    assert split("lead.created", data) == (data, {})


def test_an_object_where_none_is_expected_is_sealed() -> None:
    values: list[Any] = [{}, None, "google", ["google"]]
    for odd in values:
        assert split("lead.created", {"utm": odd}) == ({}, {"utm": odd})


def test_a_list_of_open_objects_stays_readable() -> None:
    data = {"windows": [{"weekday": 2, "starts": "08:00"}, {}], "professional_ids": ["dr-3"]}
    assert split("waitlist.joined", data) == (data, {})


def test_a_list_is_sealed_whole_for_one_unknown_field() -> None:
    data = {"windows": [{"weekday": 2}, {"weekday": 3, "why": "dialysis on other days"}]}
    assert split("waitlist.joined", data) == ({}, data)


def test_a_list_of_objects_with_a_sealed_field_is_sealed_whole() -> None:
    data = {"items": [{"service_id": "S-1", "price_cents": 100}]}
    assert split("quote.presented", data) == ({}, data)


def test_nested_objects_of_old_values_are_sealed() -> None:
    assert split("lead.updated", {"previous": {"status": "novo"}}) == ({}, {"previous": {"status": "novo"}})


def test_the_catalogue_seals_what_it_must() -> None:
    sealed = {
        "lead.created": "name phone email interest_text message_first consent.proof",
        "patient.registered": "name preferred_name birth_date gender phone email",
        "patient.became_inactive": "open_treatment",
        "appointment.completed": "procedure_codes",
        "contact.consent_granted": "proof proof.ip",
        "whatsapp.message.received": "chat_id from_phone from_lid text media media.id transcript",
        "survey.answered": "comment",
        "notificame.message.received": "contact contact.phone text media",
        "ai.reply_suggested": "draft",
        "automation.action_failed": "result",
    }
    for name, paths in sealed.items():
        for path in paths.split():
            assert all_types()[name].all_fields[f"data.{path}"].data_class.is_sealed, f"{name} {path}"


def test_every_amount_of_money_can_be_read() -> None:
    for each in all_types().values():
        for field in each.all_fields.values():
            if field.path.endswith("_cents") and not field.in_list:
                assert field.data_class is DataClass.FINANCIAL
