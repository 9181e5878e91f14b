"""Every row of the operator table, with a value that passes, one that does not, and none at all."""

from typing import Any

import pytest

from nexus_trigger_processor.domain.conditions import OPERATORS, compile_condition
from nexus_trigger_processor.domain.fields import OPEN, Field, FieldSet

MISSING = object()

FIELDS = FieldSet(
    [
        Field("data.text", "text"),
        Field("data.enum", "enum", values=("pix", "boleto", "card")),
        Field("data.number", "number"),
        Field("data.money", "money"),
        Field("data.boolean", "boolean"),
        Field("data.date", "date"),
        Field("data.datetime", "datetime"),
        Field("data.list", "list", item="text"),
        Field("data.object", "object"),
        Field("data.any", "any"),
        Field("data.previous", "object"),
    ]
)

# type, operator, wanted, passes, fails
VALUES: list[tuple[str, str, Any, list[Any], list[Any]]] = [
    ("text", "=", "São", ["São"], ["sao", "Sao", "", "São "]),
    ("text", "!=", "a", ["b", ""], ["a"]),
    ("text", "in", ["a", "b"], ["a", "b"], ["c", "A"]),
    ("text", "notIn", ["a", "b"], ["c"], ["a", "b"]),
    ("text", "equalsFolded", "joão", ["JOAO", "João"], ["joana"]),
    ("text", "notEqualsFolded", "joão", ["joana"], ["JOÃO"]),
    ("text", "contains", "orçamento", ["Quero um ORCAMENTO hoje"], ["quero orçar"]),
    ("text", "doesNotContain", "preço", ["bom dia"], ["qual o PRECO?"]),
    ("text", "containsAny", ["preço", "valor"], ["qual o Valor"], ["bom dia"]),
    ("text", "containsNone", ["preço", "valor"], ["bom dia"], ["qual o Valor"]),
    ("text", "beginsWith", "ol", ["Olá"], ["oi, ol"]),
    ("text", "doesNotBeginWith", "ol", ["oi"], ["OLÁ"]),
    ("text", "endsWith", "ção", ["limpeza e restauracao"], ["ção inicial"]),
    ("text", "doesNotEndWith", "?", ["bom dia"], ["tudo bem?"]),
    ("text", "empty", None, ["", MISSING, None], ["a", " "]),
    ("text", "notEmpty", None, ["a"], ["", MISSING, None]),
    ("enum", "=", "pix", ["pix"], ["card"]),
    ("enum", "!=", "pix", ["card"], ["pix"]),
    ("enum", "in", ["pix", "card"], ["card"], ["boleto"]),
    ("enum", "notIn", ["pix", "card"], ["boleto"], ["pix"]),
    ("number", "=", 1, [1, 1.0], [2]),
    ("number", "!=", 1, [2], [1.0]),
    ("number", "<", 10, [9.99, -1], [10, 11]),
    ("number", "<=", 10, [10], [10.01]),
    ("number", ">", 0.6, [0.61, 1], [0.6, 0]),
    ("number", ">=", 0.6, [0.6], [0.59]),
    ("number", "in", [1, 2], [2, 2.0], [3]),
    ("number", "notIn", [1, 2], [3], [1]),
    ("number", "between", [1, 5], [1, 5, 3], [0, 6]),
    ("number", "notBetween", [1, 5], [0, 6], [1, 5]),
    ("money", "=", 15000, [15000], [15001]),
    ("money", "!=", 15000, [0], [15000]),
    ("money", "<", 100, [99], [100]),
    ("money", "<=", 100, [100], [101]),
    ("money", ">", 100, [101], [100]),
    ("money", ">=", 100, [100], [99]),
    ("money", "in", [100, 200], [200], [300]),
    ("money", "notIn", [100, 200], [300], [200]),
    ("money", "between", [100, 200], [150], [201]),
    ("money", "notBetween", [100, 200], [201], [150]),
    ("boolean", "=", True, [True], [False]),
    ("boolean", "!=", True, [False], [True]),
    ("date", "=", "2026-11-23", ["2026-11-23"], ["2026-11-24"]),
    ("date", "!=", "2026-11-23", ["2026-11-24"], ["2026-11-23"]),
    ("date", "<", "2026-11-23", ["2026-11-22"], ["2026-11-23"]),
    ("date", "<=", "2026-11-23", ["2026-11-23"], ["2026-11-24"]),
    ("date", ">", "2026-11-23", ["2027-01-01"], ["2026-11-23"]),
    ("date", ">=", "2026-11-23", ["2026-11-23"], ["2026-11-22"]),
    ("date", "in", ["2026-12-24", "2026-12-25"], ["2026-12-25"], ["2026-12-26"]),
    ("date", "notIn", ["2026-12-24", "2026-12-25"], ["2026-12-26"], ["2026-12-25"]),
    ("date", "between", ["2026-11-01", "2026-11-30"], ["2026-11-01", "2026-11-30"], ["2026-12-01"]),
    ("date", "notBetween", ["2026-11-01", "2026-11-30"], ["2026-12-01"], ["2026-11-30"]),
    ("datetime", "=", "2026-11-23T09:00:00-03:00", ["2026-11-23T12:00:00Z"], ["2026-11-23T09:00:00Z"]),
    ("datetime", "!=", "2026-11-23T09:00:00-03:00", ["2026-11-23T09:00:00Z"], ["2026-11-23T12:00:00Z"]),
    ("datetime", "<", "2026-11-23T09:00:00-03:00", ["2026-11-23T11:59:59Z"], ["2026-11-23T12:00:00Z"]),
    ("datetime", "<=", "2026-11-23T09:00:00-03:00", ["2026-11-23T12:00:00Z"], ["2026-11-23T12:00:01Z"]),
    ("datetime", ">", "2026-11-23T09:00:00-03:00", ["2026-11-23T12:00:01Z"], ["2026-11-23T12:00:00Z"]),
    ("datetime", ">=", "2026-11-23T09:00:00-03:00", ["2026-11-23T12:00:00Z"], ["2026-11-23T11:00:00Z"]),
    (
        "datetime",
        "between",
        ["2026-11-23T00:00:00-03:00", "2026-11-24T00:00:00-03:00"],
        ["2026-11-24T02:00:00Z"],
        ["2026-11-24T04:00:00Z"],
    ),
    (
        "datetime",
        "notBetween",
        ["2026-11-23T00:00:00-03:00", "2026-11-24T00:00:00-03:00"],
        ["2026-11-24T04:00:00Z"],
        ["2026-11-24T02:00:00Z"],
    ),
    ("list", "contains", "clareamento", [["clareamento", "x"]], [[], ["Clareamento"]]),
    ("list", "doesNotContain", "a", [[], ["b"]], [["a"]]),
    ("list", "containsAny", ["a", "b"], [["b", "c"]], [["c"], []]),
    ("list", "containsAll", ["a", "b"], [["b", "a", "c"]], [["a"], []]),
    ("list", "containsNone", ["a", "b"], [["c"], []], [["c", "a"]]),
    ("list", "sizeAtLeast", 2, [["a", "b"]], [["a"]]),
    ("list", "sizeAtMost", 1, [["a"], []], [["a", "b"]]),
    ("list", "empty", None, [[], MISSING], [["a"]]),
    ("list", "notEmpty", None, [["a"]], [[], MISSING]),
    ("object", "empty", None, [{}, MISSING], [{"a": 1}]),
    ("object", "notEmpty", None, [{"a": 1}], [{}, MISSING]),
    ("any", "contains", "sao", [["sao"], "São Paulo"], [["São"], "Rio"]),
    ("any", "doesNotContain", "sao", [["São"], "Rio"], [["sao"], "São Paulo"]),
    ("any", "containsAny", ["a", "b"], [["b"], "xAy"], [["c"], "xy"]),
    ("any", "containsNone", ["a", "b"], [["c"], "xy"], [["b"], "xAy"]),
    ("any", "sizeAtLeast", 1, [[1]], [[]]),
    ("any", "sizeAtMost", 1, [[1]], [[1, 2]]),
    ("any", "empty", None, ["", [], MISSING], [0, False, "a"]),
    ("any", "notEmpty", None, [0, False, "a"], ["", [], MISSING]),
    *[(type_, "null", None, [MISSING, None], [value]) for type_, value in {
        "text": "", "enum": "pix", "number": 0, "money": 0, "boolean": False, "date": "2026-11-23",
        "datetime": "2026-11-23T12:00:00Z", "list": [], "object": {}, "any": 0,
    }.items()],
    *[(type_, "notNull", None, [value], [MISSING, None]) for type_, value in {
        "text": "", "enum": "pix", "number": 0, "money": 0, "boolean": False, "date": "2026-11-23",
        "datetime": "2026-11-23T12:00:00Z", "list": [], "object": {}, "any": 0,
    }.items()],
]  # fmt: skip

SAMPLES: dict[str, tuple[Any, Any]] = {
    "text": ("a", "b"),
    "enum": ("pix", "card"),
    "number": (1, 5),
    "money": (100, 500),
    "boolean": (True, False),
    "date": ("2026-11-23", "2026-11-24"),
    "datetime": ("2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z"),
    "list": (["a"], ["b"]),
    "object": ({"a": 1}, {"a": 2}),
    "any": ("a", 1),
}
NEGATIVE = {
    "!=", "notIn", "notBetween", "notEqualsFolded", "doesNotContain", "containsNone", "doesNotBeginWith",
    "doesNotEndWith", "null", "empty",
}  # fmt: skip


def decide(type_: str, operator: str, wanted: Any, data: dict[str, Any]) -> bool:
    rule = {"field": f"data.{type_}", "operator": operator, "value": wanted}
    condition = compile_condition({"combinator": "and", "rules": [rule]}, FIELDS)
    return condition.matches({"type": "x.y", "source": "crm", "data": data})


def holding(type_: str, value: Any) -> dict[str, Any]:
    return {} if value is MISSING else {type_: value}


@pytest.mark.parametrize(("type_", "operator", "wanted", "passes", "fails"), VALUES)
def test_an_operator_passes_what_it_should_and_nothing_else(
    type_: str, operator: str, wanted: Any, passes: list[Any], fails: list[Any]
) -> None:
    assert [decide(type_, operator, wanted, holding(type_, value)) for value in passes] == [True] * len(
        passes
    )
    assert [decide(type_, operator, wanted, holding(type_, value)) for value in fails] == [False] * len(fails)


@pytest.mark.parametrize("nothing", [MISSING, None])
@pytest.mark.parametrize(("type_", "operator", "wanted"), [row[:3] for row in VALUES])
def test_a_missing_or_null_field_passes_only_the_negative_operators(
    type_: str, operator: str, wanted: Any, nothing: object
) -> None:
    assert decide(type_, operator, wanted, holding(type_, nothing)) is (operator in NEGATIVE)


def test_every_row_of_the_table_is_tried_here() -> None:
    tried = {(row[0], row[1]) for row in VALUES}
    of_change = {
        (type_, name) for type_, rows in OPERATORS.items() for name in rows if rows[name].reads == "change"
    }
    assert {(type_, name) for type_, rows in OPERATORS.items() for name in rows} - of_change == tried


@pytest.mark.parametrize("type_", list(SAMPLES))
def test_changed_asks_whether_the_value_differs_from_the_previous_one(type_: str) -> None:
    old, new = SAMPLES[type_]
    assert decide(type_, "changed", None, {type_: new, "previous": {type_: old}})
    assert not decide(type_, "changed", None, {type_: old, "previous": {type_: old}})
    assert not decide(type_, "changed", None, {type_: new, "previous": {"other": old}})
    assert not decide(type_, "changed", None, {type_: new})
    assert not decide(type_, "changed", None, {type_: new, "previous": "broken"})


@pytest.mark.parametrize("type_", ["text", "enum", "number", "money", "boolean", "date", "datetime"])
def test_changed_from_and_to_ask_for_both_sides(type_: str) -> None:
    old, new = SAMPLES[type_]
    change = {type_: new, "previous": {type_: old}}
    assert decide(type_, "changedFrom", old, change)
    assert not decide(type_, "changedFrom", new, change)
    assert decide(type_, "changedTo", new, change)
    assert not decide(type_, "changedTo", old, change)
    assert decide(type_, "changedTo", new, {type_: new, "previous": {type_: None}})
    assert not decide(type_, "changedFrom", old, {type_: new, "previous": {type_: None}})


@pytest.mark.parametrize("type_", ["number", "money"])
def test_increased_and_decreased_by_measure_the_change(type_: str) -> None:
    assert decide(type_, "increasedBy", 10, {type_: 20, "previous": {type_: 10}})
    assert not decide(type_, "increasedBy", 11, {type_: 20, "previous": {type_: 10}})
    assert decide(type_, "decreasedBy", 10, {type_: 10, "previous": {type_: 20}})
    assert not decide(type_, "decreasedBy", 10, {type_: 20, "previous": {type_: 10}})
    assert not decide(type_, "increasedBy", 1, {type_: 20, "previous": {type_: None}})


@pytest.mark.parametrize("previous", [{"utm.source": "google"}, {"utm": {"source": "google"}}])
def test_a_nested_field_is_found_in_previous_by_dotted_name_or_nested(previous: dict[str, Any]) -> None:
    rule = {"field": "data.utm.source", "operator": "changedTo", "value": "meta"}
    condition = compile_condition({"combinator": "and", "rules": [rule]}, OPEN)
    assert condition.matches({"type": "x.y", "data": {"utm": {"source": "meta"}, "previous": previous}})


@pytest.mark.parametrize(
    ("operator", "wanted", "passes", "fails"),
    [
        ("=", "7", "7", "8"),
        ("=", 7, 7, 8),
        ("=", True, True, False),
        (">", 40, 41, 40),
        (">", "2026-11-23", "2026-11-24", "2026-11-22"),
        (">", "2026-11-23T09:00:00-03:00", "2026-11-23T13:00:00Z", "2026-11-23T11:00:00Z"),
        ("between", [1, 2], 1, 3),
        ("in", ["a", "b"], "a", "c"),
        ("beginsWith", "ol", "Olá", "oi"),
    ],
)
def test_a_field_nobody_described_takes_its_type_from_the_value(
    operator: str, wanted: Any, passes: Any, fails: Any
) -> None:
    rule = {"field": "data.deep.custom", "operator": operator, "value": wanted}
    condition = compile_condition({"combinator": "and", "rules": [rule]}, OPEN)
    assert condition.matches({"type": "x.y", "data": {"deep": {"custom": passes}}})
    assert not condition.matches({"type": "x.y", "data": {"deep": {"custom": fails}}})


@pytest.mark.parametrize("path", ["type", "source", "subject", "time"])
def test_the_envelope_has_fields_too(path: str) -> None:
    event = {"type": "a.b", "source": "crm", "subject": "lead/1", "time": "2026-11-23T12:00:00Z", "data": {}}
    rule = {"field": path, "operator": "=", "value": event[path]}
    assert compile_condition({"combinator": "and", "rules": [rule]}, OPEN).matches(event)
    assert not compile_condition({"combinator": "and", "rules": [rule]}, OPEN).matches(
        {"type": "", "data": {}}
    )
