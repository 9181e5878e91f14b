"""What staff may define, and what is said about the rest."""

import json
from datetime import timedelta
from typing import Any

import pytest

from nexus_shared.outbound.addresses import OutboundPolicy
from nexus_shared.outbound.headers import header_flaws
from nexus_shared.outbound.signing import new_secret, secret_flaws
from nexus_trigger_processor.domain.triggers import (
    DefinitionInvalid,
    OutsideChecks,
    TriggerDefinition,
    check,
    covers,
    hints,
    is_pattern,
    read_definition,
)

CHECKS = OutsideChecks(url=OutboundPolicy().flaws, headers=header_flaws, secret=secret_flaws)


def a_webhook(**parameters: Any) -> dict[str, Any]:
    given = {"url": "https://hooks.example.com/nexus", **parameters}
    return {"key": "avisar", "kind": "send_webhook", "parameters": given}


def a_definition(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Novo lead de anúncio",
        "event_type": "lead.created",
        "conditions": {
            "combinator": "and",
            "rules": [{"field": "data.source", "operator": "=", "value": "ads"}],
        },
        "actions": [a_webhook(body={"text": "Oi {{ data.name | first_name }}"})],
        **changes,
    }


def pointers(document: object) -> list[str]:
    return [flaw.pointer for flaw in check(document, CHECKS)]


def test_a_good_definition_has_no_flaws_and_the_usual_limits() -> None:
    definition = read_definition(a_definition(), CHECKS)
    assert (definition.flow.max_event_age, definition.flow.max_hops) == (timedelta(hours=24), 4)
    assert (definition.actions[0].max_attempts, definition.actions[0].missing) == (9, "fail")
    assert hints(definition) == []


def test_conditions_and_body_may_be_left_out() -> None:
    assert pointers({"name": "x", "event_type": "lead.*", "actions": [a_webhook()]}) == []


def test_reading_a_bad_definition_raises_all_its_flaws() -> None:
    with pytest.raises(DefinitionInvalid) as raised:
        read_definition(a_definition(name="", event_type="lead created"), CHECKS)
    assert [flaw.pointer for flaw in raised.value.flaws] == ["/name", "/event_type"]


def test_flaws_of_all_parts_are_named_at_once() -> None:
    document = a_definition(
        nam="x",
        conditions={"combinator": "and", "rules": [{"field": "data.sorce", "operator": "=", "value": "ads"}]},
        actions=[
            a_webhook(url="http://10.0.0.1/", headers={"Host": "x"}, secret="abc", body=["{{ data.nam }}"]),
            {**a_webhook(), "key": "Not A Key", "max_attempts": 0},
            a_webhook(),
        ],
        flow={"max_hops": 99, "max_event_age": "tomorrow", "max_age": 1},
    )
    assert sorted(pointers(document)) == [
        "/actions/0/parameters/body/0",
        "/actions/0/parameters/headers/Host",
        "/actions/0/parameters/secret",
        "/actions/0/parameters/url",
        "/actions/1/key",
        "/actions/1/max_attempts",
        "/actions/2/key",
        "/conditions/rules/0/field",
        "/flow/max_age",
        "/flow/max_event_age",
        "/flow/max_hops",
        "/nam",
    ]


@pytest.mark.parametrize(
    ("changes", "pointer", "words"),
    [
        ({"name": "x" * 121}, "/name", "1 to 120 characters"),
        ({"event_type": "Lead.Created"}, "/event_type", "such as lead.created"),
        ({"event_type": "lead"}, "/event_type", "such as lead.created"),
        ({"conditions": []}, "/conditions", "combinator"),
        ({"actions": []}, "/actions", "1 to 20 actions"),
        ({"actions": [a_webhook()] * 21}, "/actions", "1 to 20 actions"),
        (
            {"actions": [{**a_webhook(), "kind": "send_fax"}]},
            "/actions/0/kind",
            "a kind of action: send_webhook",
        ),
        ({"actions": [{**a_webhook(), "missing": "x"}]}, "/actions/0/missing", '"fail" or "empty"'),
        ({"actions": [a_webhook(boddy=1)]}, "/actions/0/parameters/boddy", "did you mean 'body'?"),
        (
            {"actions": [a_webhook(url="https://{{ data.x }}.com")]},
            "/actions/0/parameters/url",
            "cannot be a template",
        ),
        ({"actions": [a_webhook(url="https://127.0.0.1/")]}, "/actions/0/parameters/url", "public internet"),
        (
            {"actions": [a_webhook(headers={"X-A": "{{ type }}"})]},
            "/actions/0/parameters/headers",
            "cannot be templates",
        ),
        ({"flow": {"max_event_age": "PT10S"}}, "/flow/max_event_age", "such as PT24H"),
    ],
)
def test_a_flaw_says_what_was_expected(changes: dict[str, Any], pointer: str, words: str) -> None:
    flaw = next(flaw for flaw in check(a_definition(**changes), CHECKS) if flaw.pointer == pointer)
    assert words in flaw.message


@pytest.mark.parametrize(
    "document", [None, [], "x", {}, {"actions": [None], "event_type": 7, "conditions": 1}]
)
def test_any_document_gets_flaws_and_no_exception(document: object) -> None:
    assert check(document, CHECKS)


def test_a_document_that_is_too_large_or_too_deep_is_refused_before_it_is_read() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert [flaw.code for flaw in check(a_definition(actions=[a_webhook(body=deep)]), CHECKS)] == [
        "too_large"
    ]
    assert [flaw.code for flaw in check(a_definition(description="x" * 140_000), CHECKS)] == ["too_large"]


def test_the_same_key_twice_is_pointed_to() -> None:
    assert pointers(a_definition(actions=[a_webhook(), a_webhook()])) == ["/actions/1/key"]


def test_secrets_are_taken_apart_and_never_shown() -> None:
    secret = new_secret()
    definition = read_definition(a_definition(actions=[a_webhook(secret=secret)]), CHECKS)
    assert definition.secrets() == {"avisar": secret}
    assert secret not in json.dumps(definition.public()) + repr(definition) + definition.model_dump_json()
    assert TriggerDefinition.model_validate(definition.public()).secrets() == {}


def test_the_public_form_reads_back_as_the_same_definition() -> None:
    definition = read_definition(a_definition(flow={"max_event_age": "PT90M", "max_hops": 2}), CHECKS)
    again = read_definition(json.loads(json.dumps(definition.public())), CHECKS)
    assert again == definition
    assert again.public() == definition.public()


def test_an_event_nobody_knows_is_possible_and_hinted_at() -> None:
    definition = read_definition(
        a_definition(event_type="lead.creatd", conditions=None, actions=[a_webhook()]), CHECKS
    )
    assert [(hint.pointer, hint.message) for hint in hints(definition)] == [
        ("/event_type", "The catalogue knows no event 'lead.creatd'; did you mean 'lead.created'?")
    ]


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("lead.created", ["lead.created"], ["lead.updated", "lead.created.x"]),
        ("lead.*", ["lead.created", "lead.a.b"], ["lead", "leads.created"]),
        ("*", ["lead.created", "a.b.c"], []),
        ("*.message.*", ["whatsapp.message.received"], ["message.x"]),
        ("*.****.created", ["a.b.created"], ["a.created"]),
    ],
)
def test_a_pattern_covers_what_it_names(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    assert is_pattern(pattern) is ("*" in pattern)
    assert [covers(pattern, each) for each in covered] == [True] * len(covered)
    assert [covers(pattern, each) for each in not_covered] == [False] * len(not_covered)
