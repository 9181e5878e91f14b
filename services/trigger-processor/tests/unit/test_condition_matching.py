"""The fast answer, the explanation and a second, slow evaluator always agree."""

import unicodedata
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_trigger_processor.domain.conditions import (
    ClauseResult,
    Condition,
    ConditionUndecided,
    GroupResult,
    Result,
    compile_condition,
    first_failure,
)
from nexus_trigger_processor.domain.fields import Field, FieldSet

FIELDS = FieldSet(
    [
        Field("data.source", "enum", values=("ads", "site")),
        Field("data.text", "text", is_personal=True),
        Field("data.utm", "object"),
        Field("data.utm.source", "text"),
        Field("data.score", "number"),
        Field("data.first_visit", "boolean"),
        Field("data.due_date", "date"),
        Field("data.starts_at", "datetime"),
        Field("data.tags", "list", item="text"),
        Field("data.previous", "object"),
    ]
)

TEXTS = ("", "Olá", "OLA", "olá, tudo bem?", "limpeza", "Ação", "acao")
NUMBERS = (-1, 0, 1, 1.0, 2.5, 40)
DATES = ("2026-11-22", "2026-11-23", "2026-12-01")
MOMENTS = ("2026-11-23T12:00:00Z", "2026-11-23T09:00:00-03:00", "2026-11-23T13:00:00+00:00")
TAGS = ("a", "b", "c")
ODD: tuple[Any, ...] = (None, "x", 7, True, [], {"a": 1}, "2026-11-23T10:00:00", "23/11/2026")


def clauses(field: str, one: tuple[Any, ...], single: str, several: str = "", ranges: str = "") -> list[Any]:
    value = st.sampled_from(one)
    parts = [st.tuples(st.sampled_from(single.split()), value)]
    if several:
        parts.append(st.tuples(st.sampled_from(several.split()), st.lists(value, min_size=1, max_size=8)))
    if ranges:
        pairs = [[a, b] for a in one for b in one if not comparable(a) > comparable(b)]
        parts.append(st.tuples(st.sampled_from(ranges.split()), st.sampled_from(pairs)))
    return [part.map(lambda made: {"field": field, "operator": made[0], "value": made[1]}) for part in parts]


def comparable(value: Any) -> Any:
    """Dates and times among the values as such, everything else as it is."""
    if isinstance(value, str) and value in MOMENTS:
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(value, str) and value in DATES else value


ORDER = "= != < <= > >="
FOLDED = (
    "contains doesNotContain beginsWith doesNotBeginWith endsWith doesNotEndWith equalsFolded notEqualsFolded"
)
CHANGE = "changedFrom changedTo"
ANY_CLAUSE = st.one_of(
    *clauses("data.source", ("ads", "site"), f"= != {CHANGE}", "in notIn"),
    *clauses("data.text", TEXTS, f"= != {FOLDED} {CHANGE}", "in notIn containsAny containsNone"),
    *clauses("data.utm.source", TEXTS, "= != contains", "in notIn"),
    *clauses(
        "data.score", NUMBERS, f"{ORDER} {CHANGE} increasedBy decreasedBy", "in notIn", "between notBetween"
    ),
    *clauses("data.first_visit", (True, False), "= != changedTo"),
    *clauses("data.due_date", DATES, ORDER, "in notIn", "between notBetween"),
    *clauses("data.starts_at", MOMENTS, ORDER, "", "between notBetween"),
    *clauses("data.tags", TAGS, "contains doesNotContain", "containsAny containsAll containsNone"),
    *clauses("data.tags", (0, 1, 2), "sizeAtLeast sizeAtMost"),
    st.sampled_from(["data.source", "data.text", "data.utm", "data.score", "data.tags", "subject"]).flatmap(
        lambda field: st.sampled_from(["null", "notNull"]).map(
            lambda name: {"field": field, "operator": name}
        )
    ),
)
TREES = st.recursive(
    ANY_CLAUSE,
    lambda inner: st.fixed_dictionaries(
        {
            "combinator": st.sampled_from(["and", "or"]),
            "not": st.booleans(),
            "rules": st.lists(inner, min_size=1, max_size=4),
        }
    ),
    max_leaves=8,
).map(lambda tree: tree if "rules" in tree else {"combinator": "and", "rules": [tree]})


def usually(*values: Any) -> Any:
    return st.one_of(
        st.sampled_from(values), st.sampled_from(values), st.sampled_from(values), st.sampled_from(ODD)
    )


DATA = {
    "source": usually("ads", "site"),
    "text": usually(*TEXTS),
    "utm": st.one_of(st.fixed_dictionaries({"source": usually(*TEXTS)}), st.sampled_from(ODD)),
    "score": usually(*NUMBERS),
    "first_visit": usually(True, False),
    "due_date": usually(*DATES),
    "starts_at": usually(*MOMENTS),
    "tags": st.one_of(st.lists(st.sampled_from(TAGS), max_size=3), st.sampled_from(ODD)),
}
EVENTS = st.fixed_dictionaries(
    {
        "type": st.just("x.y"),
        "data": st.fixed_dictionaries(
            {}, optional=DATA | {"previous": st.fixed_dictionaries({}, optional=DATA)}
        ),
    },
    optional={"subject": st.sampled_from(["lead/1", None])},
)


def compiled(tree: dict[str, Any]) -> Condition:
    return compile_condition(tree, FIELDS)


def answer(condition: Condition, event: dict[str, Any]) -> bool | None:
    try:
        return condition.matches(event)
    except ConditionUndecided:
        return None


# The second evaluator: straight from the words of the specification, from the raw tree, as slow as it likes.

KINDS: dict[str, Any] = {
    "data.source": str, "data.text": str, "data.utm.source": str, "data.score": (int, float),
    "data.first_visit": bool, "data.due_date": date, "data.starts_at": datetime, "data.tags": list,
}  # fmt: skip
POSITIVE = {
    "!=": "=", "notIn": "in", "notBetween": "between", "doesNotContain": "contains", "containsNone": "containsAny",
    "doesNotBeginWith": "beginsWith", "doesNotEndWith": "endsWith", "notEqualsFolded": "equalsFolded",
}  # fmt: skip
ABSENT = object()


def slow(node: dict[str, Any], event: dict[str, Any]) -> bool | None:
    if "rules" not in node:
        return slow_clause(node, event)
    answers = [slow(rule, event) for rule in node["rules"]]
    decisive = node["combinator"] == "or"
    if any(each is decisive for each in answers):
        result: bool | None = decisive
    else:
        result = None if any(each is None for each in answers) else not decisive
    return result if result is None or not node.get("not") else not result


def slow_clause(rule: dict[str, Any], event: dict[str, Any]) -> bool | None:
    value = slow_get(event, rule["field"].split("."))
    name, wanted = rule["operator"], rule.get("value")
    if name in ("null", "notNull"):
        return (value is None) is (name == "null")
    if name in ("changedFrom", "changedTo", "increasedBy", "decreasedBy"):
        return slow_change(rule, event, value)
    if value is None:
        return name in POSITIVE
    value = slow_read(rule["field"], value)
    if value is ABSENT:
        return None
    if name in POSITIVE:
        return not slow_compare(POSITIVE[name], value, wanted)
    return slow_compare(name, value, wanted)


def slow_change(rule: dict[str, Any], event: dict[str, Any], new: Any) -> bool | None:
    previous = event["data"].get("previous") or {}
    name = rule["field"].removeprefix("data.")
    if name not in previous or previous[name] == new:
        return False
    old = None if previous[name] is None else slow_read(rule["field"], previous[name])
    new = None if new is None else slow_read(rule["field"], new)
    if ABSENT in (old, new):
        return None
    match rule["operator"]:
        case "changedFrom":
            return bool(old == rule["value"])
        case "changedTo":
            return bool(new == rule["value"])
        case "increasedBy":
            return old is not None and new is not None and bool(new - old >= rule["value"])
    return old is not None and new is not None and bool(old - new >= rule["value"])


def slow_get(event: Any, names: list[str]) -> Any:
    for name in names:
        event = event.get(name) if isinstance(event, dict) else None
    return event


def slow_read(field: str, value: Any) -> Any:
    """The value as what its field should be, ABSENT where it is not."""
    kind = KINDS[field]
    if kind in (date, datetime):
        try:
            read: Any = kind.fromisoformat(value)
        except (ValueError, TypeError):
            return ABSENT
        is_whole = kind is date or read.tzinfo is not None
        return read if is_whole and (kind is datetime or len(value) == 10) else ABSENT
    if isinstance(value, bool) and kind is not bool:
        return ABSENT
    return value if isinstance(value, kind) else ABSENT


def slow_compare(name: str, value: Any, wanted: Any) -> bool:
    many = [comparable(each) for each in wanted] if isinstance(wanted, list) else []
    wanted = comparable(wanted) if not isinstance(wanted, list) else wanted
    if isinstance(value, list):
        return slow_list(name, value, wanted)
    match name:
        case "=":
            return bool(value == wanted)
        case "<" | "<=":
            return bool(value < wanted or (name == "<=" and value == wanted))
        case ">" | ">=":
            return bool(value > wanted or (name == ">=" and value == wanted))
        case "between":
            return bool(many[0] <= value <= many[1])
        case "in":
            return value in many
        case "containsAny":
            return any(slow_fold(each) in slow_fold(value) for each in wanted)
    text, part = slow_fold(value), slow_fold(wanted)
    return {
        "contains": part in text,
        "beginsWith": text[: len(part)] == part,
        "endsWith": text.endswith(part),
        "equalsFolded": text == part,
    }[name]


def slow_list(name: str, value: list[Any], wanted: Any) -> bool:
    match name:
        case "contains":
            return value.count(wanted) > 0
        case "containsAny":
            return bool(set(value) & set(wanted))
        case "containsAll":
            return set(wanted) <= set(value)
        case "sizeAtLeast":
            return bool(len(value) >= wanted)
    return bool(len(value) <= wanted)


def slow_fold(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")


@settings(max_examples=600, deadline=None)
@given(tree=TREES, event=EVENTS)
def test_three_evaluators_agree(tree: dict[str, Any], event: dict[str, Any]) -> None:
    condition = compiled(tree)
    expected = slow(tree, event)
    assert condition.explain(event).passed is expected
    assert answer(condition, event) is expected


@settings(max_examples=200, deadline=None)
@given(tree=TREES, event=EVENTS)
def test_a_result_that_is_not_true_has_a_clause_to_blame(tree: dict[str, Any], event: dict[str, Any]) -> None:
    result = compiled(tree).explain(event)
    failure = first_failure(result)
    if result.passed:
        assert failure is None
    else:
        assert failure is not None
        assert failure.passed is (None if result.passed is None else failure.unwanted)
        assert bool(failure.error) is (result.passed is None)


@settings(max_examples=200, deadline=None)
@given(tree=TREES, event=EVENTS)
def test_no_value_of_a_personal_field_is_kept(tree: dict[str, Any], event: dict[str, Any]) -> None:
    secret = "Maria da Silva, (11) 98765-4321"
    event = {**event, "data": {**event["data"], "text": secret, "previous": {"text": f"antes {secret}"}}}
    assert secret not in str(compiled(tree).explain(event).as_dict())


def rule(field: str, operator: str = "=", value: Any = None) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def event(**data: Any) -> dict[str, Any]:
    return {"type": "x.y", "source": "crm", "subject": "lead/1", "data": data}


def explained(
    *rules: dict[str, Any], on: dict[str, Any], combinator: str = "and", negated: bool = False
) -> Result:
    return compiled({"combinator": combinator, "not": negated, "rules": list(rules)}).explain(
        on, "/conditions"
    )


IS_ADS = rule("data.source", "=", "ads")
IS_HIGH = rule("data.score", ">", 40)


def test_the_explanation_has_both_values_of_every_clause() -> None:
    result = explained(IS_ADS, IS_HIGH, on=event(source="ads", score=12))
    assert result == GroupResult(
        "/conditions",
        False,
        "and",
        False,
        (
            ClauseResult("/conditions/rules/0", True, "data.source", "=", "ads", "ads"),
            ClauseResult("/conditions/rules/1", False, "data.score", ">", 40, 12),
        ),
    )


def test_the_explanation_can_be_kept_as_json() -> None:
    result = explained(IS_ADS, rule("data.text", "contains", "x"), on=event(source="site", text="Maria"))
    assert result.as_dict() == {
        "pointer": "/conditions",
        "passed": False,
        "combinator": "and",
        "not": False,
        "rules": [
            {
                "pointer": "/conditions/rules/0",
                "passed": False,
                "field": "data.source",
                "operator": "=",
                "expected": "ads",
                "actual": "site",
            },
            {
                "pointer": "/conditions/rules/1",
                "passed": False,
                "field": "data.text",
                "operator": "contains",
                "expected": "x",
                "actual": "•••",
            },
        ],
    }
    assert result.as_dict(reveal=True)["rules"][1]["actual"] == "Maria"


def test_a_long_value_is_cut_before_it_is_kept() -> None:
    kept = explained(rule("data.utm.source", "=", "x"), on=event(utm={"source": "y" * 5_000})).as_dict()
    assert kept["rules"][0]["actual"] == "y" * 200 + "…"
    kept = explained(rule("data.tags", "contains", "x"), on=event(tags=["y"] * 5_000)).as_dict()
    assert kept["rules"][0]["actual"] == "a list of 5000"


def test_a_change_shows_both_sides() -> None:
    result = explained(rule("data.score", "increasedBy", 5), on=event(score=3, previous={"score": 1}))
    assert result.as_dict()["rules"][0]["actual"] == {"from": 1, "to": 3}


def test_a_value_of_the_wrong_type_is_an_error_and_not_a_no() -> None:
    condition = compiled({"combinator": "and", "rules": [IS_HIGH]})
    with pytest.raises(ConditionUndecided, match=r"data\.score: expected a number, got a text") as raised:
        condition.matches(event(score="50"))
    assert raised.value.result == condition.explain(event(score="50"))
    assert first_failure(raised.value.result).error == str(raised.value)  # type: ignore[union-attr]


def test_an_error_says_nothing_about_the_value() -> None:
    result = explained(rule("data.starts_at", ">", "2026-11-23T12:00:00Z"), on=event(starts_at="Maria"))
    failure = first_failure(result)
    assert failure is not None
    assert failure.error == "data.starts_at: expected a date and time with offset, got another text"


@pytest.mark.parametrize("rules", [[IS_HIGH, IS_ADS], [IS_ADS, IS_HIGH]])
def test_an_and_with_a_false_clause_is_false_whatever_else_is_wrong_in_any_order(rules: list[Any]) -> None:
    condition = compiled({"combinator": "and", "rules": rules})
    assert condition.matches(event(source="site", score="50")) is False


@pytest.mark.parametrize("rules", [[IS_HIGH, IS_ADS], [IS_ADS, IS_HIGH]])
def test_an_or_with_a_true_clause_is_true_whatever_else_is_wrong_in_any_order(rules: list[Any]) -> None:
    condition = compiled({"combinator": "or", "rules": rules})
    assert condition.matches(event(source="ads", score="50")) is True


def test_not_of_an_error_is_still_an_error() -> None:
    condition = compiled({"combinator": "and", "not": True, "rules": [IS_HIGH]})
    with pytest.raises(ConditionUndecided):
        condition.matches(event(score="50"))


def test_the_clause_blamed_in_a_negated_group_is_the_one_that_should_not_have_passed() -> None:
    result = explained(IS_ADS, IS_HIGH, on=event(source="site", score=50), combinator="or", negated=True)
    failure = first_failure(result)
    assert failure is not None
    assert (failure.pointer, failure.passed, failure.unwanted) == ("/conditions/rules/1", True, True)


def test_the_clause_blamed_is_the_first_that_decided() -> None:
    tree = {"combinator": "and", "rules": [IS_ADS, {"combinator": "or", "rules": [IS_HIGH, IS_HIGH]}]}
    failure = first_failure(compiled(tree).explain(event(source="ads", score=1)))
    assert failure is not None
    assert failure.pointer == "/rules/1/rules/0"


def test_clauses_are_listed_in_order() -> None:
    tree = {"combinator": "and", "rules": [IS_ADS, {"combinator": "or", "rules": [IS_HIGH, IS_ADS]}]}
    listed = [clause.field.path for clause in compiled(tree).clauses()]
    assert listed == ["data.source", "data.score", "data.source"]
