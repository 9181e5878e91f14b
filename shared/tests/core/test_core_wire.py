import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_shared import wire
from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.errors import InputInvalid
from nexus_shared.strict_json import Inspected, NotJson
from nexus_shared.testing.builders import a_lead_created

EVENT = a_lead_created().as_dict()
CE = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "crm",
    "ce-type": "lead.created",
    "ce-tenantid": "clinica-sul",
}


def read_one(content: bytes, kind: str = STRUCTURED, headers: dict[str, Any] | None = None) -> Inspected:
    items, is_batch = wire.read(content, kind, headers or {})
    assert not is_batch
    assert len(items) == 1
    return items[0]


def pointers_of(value: Any) -> list[str]:
    with pytest.raises(InputInvalid) as refused:
        wire.envelope(value)
    return [flaw.pointer for flaw in refused.value.flaws]


def bad(name: str, *values: object) -> list[tuple[str, object]]:
    return [(name, value) for value in values]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in EVENT.items() if key != name}


def test_a_structured_event_is_read_as_it_was_written() -> None:
    assert wire.envelope(read_one(orjson.dumps(EVENT)).value).as_dict() == EVENT


@pytest.mark.parametrize("kind", [STRUCTURED.upper(), f"{STRUCTURED}; charset=utf-8", f" {STRUCTURED} ;x=y"])
def test_the_content_type_may_have_parameters_and_capitals(kind: str) -> None:
    assert read_one(orjson.dumps(EVENT), kind).value == EVENT


def test_a_batch_is_read_in_its_order() -> None:
    events = [a_lead_created(number=number).as_dict() for number in range(5)]
    items, is_batch = wire.read(orjson.dumps(events), BATCH, {})
    assert is_batch
    assert [item.value for item in items] == events
    assert wire.read(b"[]", BATCH, {}) == ([], True)


def test_an_array_sent_as_one_event_is_refused_whole_so_that_none_of_it_vanishes() -> None:
    for content in (orjson.dumps([EVENT]), orjson.dumps([EVENT, EVENT]), b"[]"):
        with pytest.raises(InputInvalid) as refused:
            wire.read(content, STRUCTURED, {})
        assert BATCH in refused.value.flaws[0].message


@pytest.mark.parametrize("content", [b"{}", b'"x"', b"null", b"1"])
def test_a_batch_that_is_no_array_says_so(content: bytes) -> None:
    with pytest.raises(InputInvalid) as refused:
        wire.read(content, BATCH, {})
    assert refused.value.flaws[0].code == "not_array"


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "application/json", "x" * 10_000])
def test_another_content_type_is_named_and_the_right_ones_are_told(kind: str) -> None:
    with pytest.raises(wire.ContentTypeWrong, match="application/cloudevents") as refused:
        wire.read(orjson.dumps(EVENT), kind, {})
    assert refused.value.status == 415
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("content", [b"not json", b'{"a":', b"\xff\xfe", b'{"a":"\xed\xa0\x80"}'])
def test_what_is_no_json_is_refused_in_every_mode(content: bytes) -> None:
    for kind, headers in ((STRUCTURED, {}), (BATCH, {}), ("application/json", CE)):
        with pytest.raises(NotJson):
            wire.read(content, kind, headers)


def test_one_byte_more_than_an_event_may_have_is_too_large() -> None:
    filled = len(orjson.dumps({**EVENT, "x": ""}))
    fits = orjson.dumps({**EVENT, "x": "x" * (wire.MAX_EVENT_BYTES - filled)})
    assert read_one(fits).flaw is None
    with pytest.raises(wire.TooLarge, match=f"{wire.MAX_EVENT_BYTES + 1} bytes") as refused:
        wire.read(fits.replace(b'"x":"', b'"x":"x'), STRUCTURED, {})
    assert refused.value.status == 413


def test_ten_megabytes_are_refused_unread() -> None:
    for kind in (STRUCTURED, BATCH, "application/json"):
        with pytest.raises(wire.TooLarge):
            wire.read(b"x" * 10_000_000, kind, CE)


def test_one_event_too_large_spoils_only_itself_in_a_batch() -> None:
    large = {**EVENT, "data": {"x": "x" * wire.MAX_EVENT_BYTES}}
    items, _ = wire.read(orjson.dumps([EVENT, large, EVENT]), BATCH, {})
    assert [item.flaw.code if item.flaw else None for item in items] == [None, "too_large", None]


def test_five_hundred_events_are_a_batch_and_one_more_is_too_large() -> None:
    assert len(wire.read(b"[" + b",".join([b"{}"] * 500) + b"]", BATCH, {})[0]) == 500
    with pytest.raises(wire.TooLarge, match="501 events"):
        wire.read(b"[" + b",".join([b"{}"] * 501) + b"]", BATCH, {})


@pytest.mark.parametrize(
    "bad", ['{"id":NaN}', '{"id":"1","id":"2"}', r'{"id":"\u0000"}', "[" * 99 + "]" * 99]
)
def test_one_bad_event_spoils_only_itself_in_a_batch(bad: str) -> None:
    good = orjson.dumps(EVENT).decode()
    items, _ = wire.read(f"[{good},{bad},{good}]".encode(), BATCH, {})
    assert [item.flaw is None for item in items] == [True, False, True]
    assert items[2].value == EVENT


@pytest.mark.parametrize("prefix", ["ce-", "Ce-", "cloudEvents:", "cloudEvents_"])
def test_binary_mode_takes_attributes_from_headers(prefix: str) -> None:
    headers: dict[str, Any] = {prefix + name[3:]: value for name, value in CE.items()}
    headers |= {
        prefix + "hops": "3",
        prefix + "schemaversion": b"1",
        prefix + "time": "2026-11-24T09:00:00-03:00",
    }
    event = wire.envelope(read_one(b'{"lead_id":"L-1"}', "application/json", headers | {"other": "x"}).value)
    assert (event.id, event.type, event.tenantid, event.hops) == ("1", "lead.created", "clinica-sul", 3)
    assert event.data == {"lead_id": "L-1"}
    assert event.model_extra == {}


def test_binary_mode_takes_no_data_as_empty_data_and_a_time_of_amqp() -> None:
    event = wire.envelope(read_one(b"", "", CE | {"ce-time": datetime(2026, 11, 24, tzinfo=UTC)}).value)
    assert event.data == {}
    assert event.time == datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize("content", [b"[1]", b"[]", b'"x"', b"1", b"null"])
def test_binary_data_must_be_an_object(content: bytes) -> None:
    assert pointers_of(read_one(content, "application/json", CE).value) == ["/data"]


def test_a_flaw_in_binary_data_is_shown_below_data() -> None:
    flaw = read_one(b'{"a":{"b":NaN}}', "application/json", CE).flaw
    assert flaw is not None
    assert (flaw.pointer, flaw.code) == ("/data/a/b", "not_a_number")


@pytest.mark.parametrize(
    "value",
    [b"\xff\xfe", "a\x00b", "a\nb", 1.5, Decimal(1), [1], {"a": 1}, None, 2**60, bytearray(b"\xff")],
    ids=repr,
)
def test_a_header_that_is_no_attribute_is_a_flaw_and_no_crash(value: Any) -> None:
    flaw = read_one(b"{}", "application/json", CE | {"ce-clinicunit": value}).flaw
    assert flaw is not None
    assert (flaw.pointer, flaw.code) == ("/clinicunit", "header")


@pytest.mark.parametrize("name", ["ce-", "ce-a b", "ce-a\x00", "ce-" + "x" * 41, "ce-ção"])
def test_a_header_whose_name_is_no_attribute_is_a_flaw(name: str) -> None:
    flaw = read_one(b"{}", "application/json", CE | {name: "x"}).flaw
    assert flaw is not None
    assert flaw.code == "header"
    assert flaw.pointer.isprintable()


@pytest.mark.parametrize("name", ["id", "source", "type", "tenantid"])
def test_a_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        wire.envelope(without(name))
    assert [(flaw.pointer, flaw.code) for flaw in refused.value.flaws] == [(f"/{name}", "missing")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *bad("id", "", "x" * 201, "a\tb", 5, None, ["a"]),
        *bad("source", "", "x" * 201, "a\nb", 5, None),
        *bad("type", "lead", "Lead.created", "lead created", "lead..x", "lead.*", "lead.#"),
        *bad("type", "é.b", "a.b.c.d.e.f.g", ".a", "a." + "b" * 99, "a.b\n", None, 5),
        *bad("tenantid", "", "-a", "A", "a_b", "a.b", "a" * 64, "ção", "a\n", 7),
        *bad("subject", "", "x" * 201, "a\x7f", 5),
        *bad("time", "yesterday", "2026-11-24", "2026-11-24T09:00:00", "1764000000"),
        *bad("time", 1764000000, True, 1.5),
        *bad("data", None, [], "x", 1, True),
        *bad("hops", -1, 33, 1.5, "x", None),
        *bad("schemaversion", 0, -1, 32768, "x"),
        *bad("correlationid", "", "x" * 201, "a\nb", 5),
        *bad("causationid", "", "x" * 201, 5),
        *bad("traceparent", "", "00-1", "x" * 55),
        *bad("datacontenttype", "text/plain", "application/xml"),
        *bad("specversion", "0.3", 1, "1"),
    ],
)  # fmt: skip
def test_an_attribute_that_does_not_fit_is_named(name: str, value: Any) -> None:
    assert pointers_of({**EVENT, name: value}) == [f"/{name}"]


def test_every_attribute_that_does_not_fit_is_named_at_once() -> None:
    assert pointers_of({"id": "", "type": "x", "hops": 99}) == [
        "/id",
        "/source",
        "/type",
        "/tenantid",
        "/hops",
    ]


@pytest.mark.parametrize("value", [None, 1, "x", [], [EVENT]])
def test_what_is_no_object_is_no_event(value: Any) -> None:
    assert pointers_of(value) == [""]


def test_a_refusal_repeats_no_value() -> None:
    with pytest.raises(InputInvalid) as refused:
        wire.envelope({**EVENT, "id": "canary\n", "subject": "canary\n", "data": "canary"})
    told = [str(refused.value), *(flaw.message for flaw in refused.value.flaws)]
    assert len(told) == 4
    assert not any("canary" in text for text in told)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from([*EVENT, "position", "tenant_id", "x", "é"]), VALUES))
def test_no_envelope_brings_the_door_down(changes: dict[str, Any]) -> None:
    try:
        wire.envelope({**EVENT, **changes})
    except InputInvalid as refused:
        assert all(flaw.pointer.startswith("/") and flaw.message for flaw in refused.flaws)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=60), st.sampled_from([STRUCTURED, BATCH, "application/json", "", "text/html"]))
def test_no_bytes_bring_the_door_down(content: bytes, kind: str) -> None:
    for headers in ({}, CE):
        try:
            items, _ = wire.read(content, kind, headers)
        except InputInvalid:
            continue
        assert all(isinstance(item, Inspected) for item in items)


def test_a_batch_is_put_together_from_events_that_are_json_already() -> None:
    assert json.loads(wire.batch_body([b'{"id":"1"}', b'{"id":"2"}'])) == [{"id": "1"}, {"id": "2"}]
    assert wire.batch_body([]) == b"[]"
