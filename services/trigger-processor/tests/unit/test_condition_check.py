"""What is wrong with a condition is said where it is, and what to do about it."""

from typing import Any

import pytest

from nexus_shared.errors import Flaw
from nexus_trigger_processor.domain.conditions import ConditionInvalid, check_condition, compile_condition
from nexus_trigger_processor.domain.fields import OPEN, fields_for

LEADS = fields_for("lead.created")


def one(rule: dict[str, Any], event_type: str = "lead.created") -> Flaw:
    flaws = check_condition({"combinator": "and", "rules": [rule]}, fields_for(event_type), "/conditions")
    assert len(flaws) == 1, flaws
    return flaws[0]


def rule(field: str = "data.source", operator: str = "=", value: Any = "ads") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def test_a_misspelt_field_is_pointed_to_with_the_one_that_was_meant() -> None:
    flaw = one(rule("data.fone"))
    assert flaw.pointer == "/conditions/rules/0/field"
    assert flaw.message == "There is no field 'data.fone'; did you mean 'data.phone'?"


def test_a_field_named_without_its_place_is_found_by_name() -> None:
    assert one(rule("campaign")).message.endswith("did you mean 'data.utm.campaign'?")


def test_a_field_like_no_other_gets_no_suggestion() -> None:
    assert one(rule("zzz")).message == "There is no field 'zzz'"


def test_an_operator_of_another_type_is_refused_with_those_that_are_possible() -> None:
    flaw = one(rule("data.consent.whatsapp", "contains", True))
    assert flaw.pointer == "/conditions/rules/0/operator"
    assert flaw.message.startswith("'contains' cannot be used with 'data.consent.whatsapp' (boolean)")
    assert flaw.message.endswith("use one of =, !=, null, notNull, changed, changedFrom, changedTo")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("==", "="), ("startsWith", "beginsWith"), ("contain", "contains"), ("isNull", "null")],
)
def test_an_operator_of_another_dialect_is_translated(written: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in one(rule(operator=written)).message


def test_an_enum_value_is_suggested() -> None:
    flaw = one(rule("data.bucket", "=", "8-14"), "payment.overdue")
    assert flaw.pointer == "/conditions/rules/0/value"
    assert flaw.message == (
        "'data.bucket' =: '8-14' is none of its values (1-7, 8-15, 16-30, 31+); did you mean '8-15'?"
    )


@pytest.mark.parametrize(
    ("event_type", "field", "operator", "value", "words"),
    [
        ("lead.qualified", "data.score", ">", "40", "expected a number, got the text"),
        ("lead.qualified", "data.score", ">", True, "expected a number"),
        ("lead.qualified", "data.score", ">", float("inf"), "expected a number between"),
        ("lead.qualified", "data.score", "between", [1], "list of two values"),
        ("lead.qualified", "data.score", "between", [5, 1], "swap them"),
        ("lead.qualified", "data.score", "in", 5, "list of 1 to 200 values"),
        ("lead.qualified", "data.score", "in", [], "list of 1 to 200 values"),
        ("lead.created", "data.source", "in", ["a"] * 201, "list of 1 to 200 values"),
        ("lead.created", "data.source", "=", "x" * 1001, "at most 1000 characters"),
        ("lead.created", "data.source", "=", None, "expected a text, got nothing"),
        ("lead.created", "data.source", "=", {"a": 1}, "expected a text, got an object"),
        ("lead.created", "data.consent.whatsapp", "=", "sim", "expected true or false"),
        ("lead.created", "data.consent.at", ">", "2026-11-23", "with offset such as"),
        ("lead.created", "data.consent.at", ">", "2026-11-23T10:00:00", "with offset such as"),
        ("payment.overdue", "data.amount_cents", ">", 150.5, "amount in cents"),
        ("payment.overdue", "data.due_date", "<", "23/11/2026", "a date such as 2026-11-23"),
        ("payment.overdue", "data.due_date", "<", "2026-02-30", "a date such as 2026-11-23"),
        ("ai.sentiment_detected", "data.risk_flags", "sizeAtLeast", -1, "a whole number from 0"),
        ("ai.sentiment_detected", "data.risk_flags", "containsAny", [1], "expected a text"),
    ],
)
def test_a_value_of_another_type_is_refused_with_what_was_expected(
    event_type: str, field: str, operator: str, value: Any, words: str
) -> None:
    flaw = one(rule(field, operator, value), event_type)
    assert flaw.pointer == "/conditions/rules/0/value"
    assert words in flaw.message


def test_changed_needs_an_event_that_carries_previous_values() -> None:
    assert "carries none" in one(rule("data.status", "changedTo", "x")).message
    assert (
        check_condition(
            {"combinator": "and", "rules": [rule("data.status", "changedTo", "x")]},
            fields_for("lead.updated"),
        )
        == []
    )


def test_a_field_that_only_previous_speaks_of_can_have_changed() -> None:
    tree = {"combinator": "and", "rules": [rule("data.cor_do_cabelo", "changed", None)]}
    assert check_condition(tree, fields_for("lead.updated")) == []
    assert (
        len(check_condition({**tree, "rules": [rule("data.cor_do_cabelo")]}, fields_for("lead.updated"))) == 1
    )


@pytest.mark.parametrize(
    ("tree", "pointer"),
    [
        ([], ""),
        ({"combinator": "xor", "rules": []}, "/combinator"),
        ({"combinator": "and"}, "/rules"),
        ({"combinator": "and", "rules": {}}, "/rules"),
        ({"combinator": "and", "rules": [], "not": 1}, "/not"),
        ({"combinator": "and", "rules": ["and"]}, "/rules/0"),
        ({"combinator": "and", "rules": [{"combinator": "or", "rules": []}]}, "/rules/0/rules"),
        ({"combinator": "and", "rules": [], "ruls": []}, "/ruls"),
        ({"combinator": "and", "rules": [], "a/b~c": 1}, "/a~1b~0c"),
        ({"combinator": "and", "rules": [{**rule(), "id": "1"}]}, "/rules/0/id"),
        ({"combinator": "and", "rules": [{**rule(), "valueSource": "field"}]}, "/rules/0/valueSource"),
        ({"combinator": "and", "rules": [{"operator": "=", "value": 1}]}, "/rules/0/field"),
        ({"combinator": "and", "rules": [{**rule(), "operator": ["="]}]}, "/rules/0/operator"),
    ],
)
def test_a_tree_of_another_form_is_pointed_to(tree: Any, pointer: str) -> None:
    assert [flaw.pointer for flaw in check_condition(tree, LEADS)] == [pointer]


def test_all_flaws_are_named_at_once() -> None:
    tree = {
        "combinator": "or",
        "rules": [rule("data.fone"), {"combinator": "and", "rules": [rule(operator="~"), rule(value=7)]}],
    }
    assert [flaw.pointer for flaw in check_condition(tree, LEADS)] == [
        "/rules/0/field",
        "/rules/1/rules/0/operator",
        "/rules/1/rules/1/value",
    ]


def test_groups_nest_eight_deep_and_not_deeper_however_deep_they_are_sent() -> None:
    def nested(depth: int) -> dict[str, Any]:
        tree: dict[str, Any] = {"combinator": "and", "rules": [rule()]}
        for _ in range(depth - 1):
            tree = {"combinator": "and", "rules": [tree]}
        return tree

    assert check_condition(nested(8), LEADS) == []
    assert [flaw.code for flaw in check_condition(nested(9), LEADS)] == ["too_deep"]
    assert [flaw.code for flaw in check_condition(nested(900), LEADS)] == ["too_deep"]


def test_there_are_two_hundred_rules_and_groups_at_most() -> None:
    assert check_condition({"combinator": "and", "rules": [rule()] * 200}, LEADS) == []
    flaws = check_condition({"combinator": "and", "rules": [rule()] * 5_000}, LEADS)
    assert [(flaw.pointer, flaw.code) for flaw in flaws] == [("/rules/200", "too_many")]


def test_events_of_unknown_types_may_have_any_field_below_data() -> None:
    assert check_condition({"combinator": "and", "rules": [rule("data.whatever.it.is")]}, OPEN) == []
    for path in ("whatever", "data", "data.", "data..x", "data.a b", "data.__class__.x" * 20, "tenant.x"):
        assert len(check_condition({"combinator": "and", "rules": [rule(path)]}, OPEN)) == 1, path


def test_an_object_the_catalogue_does_not_describe_may_have_any_field() -> None:
    tree = {"combinator": "and", "rules": [rule("data.criteria.budget", ">", 1000)]}
    assert check_condition(tree, fields_for("lead.qualified")) == []
    assert len(check_condition({"combinator": "and", "rules": [rule("data.utm.sorce")]}, LEADS)) == 1


def test_a_pattern_allows_the_fields_of_all_types_it_names() -> None:
    fields = fields_for("appointment.*")
    good = [
        rule("data.appointment_id"),
        rule("data.reminders_sent", ">", 1),
        rule("data.hours_before", "<", 2),
    ]
    assert check_condition({"combinator": "and", "rules": good}, fields) == []
    assert len(check_condition({"combinator": "and", "rules": [rule("data.survey_id")]}, fields)) == 1


def test_an_empty_condition_is_always_met() -> None:
    assert compile_condition({"combinator": "and", "rules": []}, LEADS).matches({"type": "x.y", "data": {}})


def test_compiling_what_has_flaws_raises_them() -> None:
    with pytest.raises(ConditionInvalid) as raised:
        compile_condition({"combinator": "and", "rules": [rule("data.fone")]}, LEADS, "/conditions")
    assert [flaw.pointer for flaw in raised.value.flaws] == ["/conditions/rules/0/field"]
    assert raised.value.status == 422
