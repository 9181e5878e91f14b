"""What a published trigger makes of an event, and in which words."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from nexus_shared.ids import derive
from nexus_trigger_processor.domain.sentences import decision_sentence, definition_sentence
from nexus_trigger_processor.domain.templates import MissingField
from nexus_trigger_processor.domain.triggers import (
    CompiledTrigger,
    Outcome,
    TriggerDefinition,
    compile_trigger,
)

TRIGGER_ID: UUID = derive("trigger", "test")
IS_ADS = {"field": "data.source", "operator": "=", "value": "ads"}
HAS_SCORE = {"field": "data.score", "operator": ">", "value": 40}


def a_definition(
    *rules: dict[str, Any], event_type: str = "lead.created", **changes: Any
) -> TriggerDefinition:
    webhook = {"url": "https://hooks.example.com/nexus", "body": {"nome": "{{ data.name | first_name }}"}}
    document = {
        "name": "Novo lead",
        "event_type": event_type,
        "conditions": {"combinator": "and", "rules": list(rules)} if rules else None,
        "actions": [{"key": "avisar", "kind": "send_webhook", "parameters": webhook}],
        **changes,
    }
    return TriggerDefinition.model_validate(document)


def compiled(*rules: dict[str, Any], **changes: Any) -> CompiledTrigger:
    return compile_trigger(TRIGGER_ID, 3, a_definition(*rules, **changes), effective_after=100)


def event(type_: str = "lead.created", **data: Any) -> dict[str, Any]:
    return {"type": type_, "source": "crm", "subject": "lead/1", "time": "2026-11-23T12:00:00Z", "data": data}


def decided(trigger: CompiledTrigger, on: dict[str, Any], *, hops: int = 0, hours: float = 0) -> Outcome:
    return trigger.decide(on, hops=hops, age=timedelta(hours=hours))


def test_a_trigger_fires_when_its_conditions_are_met_and_keeps_why() -> None:
    outcome = decided(compiled(IS_ADS), event(source="ads"))
    assert (outcome.kind, outcome.failure) == ("fired", None)
    assert outcome.tree is not None
    assert outcome.tree.passed is True


def test_a_trigger_without_conditions_fires_always() -> None:
    assert decided(compiled(), event()) == Outcome("fired")


def test_a_trigger_that_does_not_match_names_the_first_clause_with_both_values() -> None:
    outcome = decided(compiled({**IS_ADS, "operator": "notNull"}, IS_ADS), event(source="site"))
    assert (outcome.kind, outcome.reason) == ("not_matched", "condition")
    assert outcome.failure is not None
    assert (outcome.failure.pointer, outcome.failure.expected, outcome.failure.actual) == (
        "/conditions/rules/1",
        "ads",
        "site",
    )


@pytest.mark.parametrize(("hops", "kind"), [(3, "fired"), (4, "suppressed"), (32, "suppressed")])
def test_an_event_too_many_automations_away_is_suppressed(hops: int, kind: str) -> None:
    outcome = decided(compiled(), event(), hops=hops)
    assert outcome.kind == kind
    assert outcome.reason == ("loop" if kind == "suppressed" else "")


@pytest.mark.parametrize(("hours", "kind"), [(24, "fired"), (24.01, "suppressed"), (9_000, "suppressed")])
def test_an_event_too_old_is_suppressed(hours: float, kind: str) -> None:
    outcome = decided(compiled(), event(), hours=hours)
    assert outcome.kind == kind
    assert outcome.reason == ("too_old" if kind == "suppressed" else "")


def test_suppressed_means_that_the_conditions_were_met() -> None:
    assert decided(compiled(IS_ADS), event(source="site"), hops=9, hours=99).kind == "not_matched"
    assert decided(compiled(IS_ADS), event(source="ads"), hops=9, hours=99).kind == "suppressed"


def test_a_value_that_does_not_fit_its_comparison_is_an_error() -> None:
    outcome = decided(compiled(HAS_SCORE, event_type="lead.qualified"), event(score="50"))
    assert (outcome.kind, outcome.reason) == ("error", "undecidable")
    assert outcome.text == "data.score: expected a number, got a text"
    assert outcome.failure is not None
    assert outcome.failure.pointer == "/conditions/rules/0"


def test_a_definition_that_no_longer_fits_the_catalogue_says_so_at_every_event() -> None:
    trigger = compiled({**IS_ADS, "field": "data.zzzz"})
    outcome = decided(trigger, event(source="ads"))
    assert (outcome.kind, outcome.reason) == ("error", "broken")
    assert outcome.text == "/conditions/rules/0/field: There is no field 'data.zzzz'"


def test_a_trigger_on_an_unknown_type_compares_what_comes() -> None:
    trigger = compiled({"field": "data.a.b", "operator": ">=", "value": 3}, event_type="our.own.type")
    assert decided(trigger, event("our.own.type", a={"b": 3})).kind == "fired"
    assert decided(trigger, event("our.own.type", a={"b": 2})).kind == "not_matched"
    assert decided(trigger, event("our.own.type", a={"b": "3"})).kind == "error"


def test_an_action_is_filled_in_with_the_event() -> None:
    (action,) = compiled().actions
    assert (action.key, action.kind, action.max_attempts) == ("avisar", "send_webhook", 9)
    assert action.render(event(name="MARIA DA SILVA")) == {
        "url": "https://hooks.example.com/nexus",
        "headers": {},
        "body": {"nome": "Maria"},
    }
    with pytest.raises(MissingField) as raised:
        action.render(event())
    assert raised.value.pointer == "/body/nome"


def test_a_decision_can_be_kept_as_json_with_personal_values_masked() -> None:
    trigger = compiled({"field": "data.name", "operator": "beginsWith", "value": "ana"})
    outcome = decided(trigger, event(name="Maria"))
    clause = {
        "pointer": "/conditions/rules/0",
        "passed": False,
        "field": "data.name",
        "operator": "beginsWith",
        "expected": "ana",
        "actual": "•••",
    }
    assert outcome.as_dict() == {
        "outcome": "not_matched",
        "reason": "condition",
        "failure": clause,
        "conditions": {
            "pointer": "/conditions",
            "passed": False,
            "combinator": "and",
            "not": False,
            "rules": [clause],
        },
    }
    assert outcome.as_dict(reveal=True)["failure"]["actual"] == "Maria"


def test_unknown_types_are_personal_as_a_whole() -> None:
    outcome = decided(
        compiled({"field": "data.a", "operator": "=", "value": "x"}, event_type="a.b"), event(a="secret")
    )
    assert "secret" not in str(outcome.as_dict())


SENTENCES: list[tuple[str, Outcome, str, str, str]] = [
    (
        "not matched",
        decided(compiled(IS_ADS), event(source="site")),
        "lead.created",
        'Não disparou: \'origem\' era "site", esperado "ads".',
        'Did not fire: \'source\' was "site", expected "ads".',
    ),
    (
        "missing",
        decided(compiled(IS_ADS), event()),
        "lead.created",
        "Não disparou: 'origem' não estava preenchido, esperado \"ads\".",
        "Did not fire: 'source' was missing, expected \"ads\".",
    ),
    (
        "a number",
        decided(compiled(HAS_SCORE, event_type="lead.qualified"), event(score=12.5)),
        "lead.qualified",
        "Não disparou: 'pontuação' era 12,5, esperado: maior que 40.",
        "Did not fire: 'score' was 12.5, expected: more than 40.",
    ),
    (
        "money and a range",
        decided(
            compiled(
                {"field": "data.amount_cents", "operator": "between", "value": [10000, 50000]},
                event_type="payment.overdue",
            ),
            event(amount_cents=123456),
        ),
        "payment.overdue",
        "Não disparou: 'valor' era R$ 1.234,56, esperado: está entre R$ 100,00 e R$ 500,00.",
        "Did not fire: 'amount cents' was R$ 1.234,56, expected: between R$ 100,00 and R$ 500,00.",
    ),
    (
        "a date",
        decided(
            compiled(
                {"field": "data.due_date", "operator": "<", "value": "2026-11-23"},
                event_type="payment.overdue",
            ),
            event(due_date="2026-12-01"),
        ),
        "payment.overdue",
        "Não disparou: 'vencimento' era 01/12/2026, esperado: antes de 23/11/2026.",
        'Did not fire: \'due date\' was "2026-12-01", expected: before "2026-11-23".',
    ),
    (
        "personal",
        decided(compiled({"field": "data.name", "operator": "=", "value": "Ana"}), event(name="Maria")),
        "lead.created",
        "Não disparou: 'nome' era •••, esperado \"Ana\".",
        "Did not fire: 'name' was •••, expected \"Ana\".",
    ),
    (
        "negated",
        decided(
            compiled(conditions={"combinator": "or", "not": True, "rules": [IS_ADS]}), event(source="ads")
        ),
        "lead.created",
        'Não disparou: \'origem\' era "ads", e a condição exclui "ads".',
        'Did not fire: \'source\' was "ads", and the condition excludes "ads".',
    ),
    (
        "changed",
        decided(
            compiled(
                {"field": "data.status", "operator": "changedTo", "value": "ganho"}, event_type="lead.updated"
            ),
            event(status="novo", previous={}),
        ),
        "lead.updated",
        "Não disparou: 'situação' não mudou, esperado: mudou para \"ganho\".",
        "Did not fire: 'status' did not change, expected: changed to \"ganho\".",
    ),
    (
        "fired",
        decided(compiled(IS_ADS), event(source="ads")),
        "lead.created",
        "Disparou: as condições foram atendidas.",
        "Fired: the conditions were met.",
    ),
    (
        "always",
        decided(compiled(), event()),
        "lead.created",
        "Disparou: não há condições.",
        "Fired: there are no conditions.",
    ),
    (
        "too old",
        decided(compiled(), event(), hours=30.25),
        "lead.created",
        "Suprimido: o evento tinha 30,2 h, e o limite é 24 h.",
        "Suppressed: the event was 30.2 h old, and the limit is 24 h.",
    ),
    (
        "loop",
        decided(compiled(), event(), hops=4),
        "lead.created",
        "Suprimido: o evento já vem de 4 automações seguidas, e o limite é 4.",
        "Suppressed: the event comes from 4 automations in a row, and the limit is 4.",
    ),
    (
        "undecidable",
        decided(compiled(HAS_SCORE, event_type="lead.qualified"), event(score="50")),
        "lead.qualified",
        "Erro: o valor de 'pontuação' não pode ser comparado, esperado: maior que 40.",
        "Error: data.score: expected a number, got a text.",
    ),
    (
        "broken",
        decided(compiled({**IS_ADS, "field": "data.zzzz"}), event()),
        "lead.created",
        "Erro: a definição da automação não combina mais com o catálogo de eventos.",
        "Error: /conditions/rules/0/field: There is no field 'data.zzzz'.",
    ),
]


@pytest.mark.parametrize(
    ("outcome", "event_type", "pt", "en"),
    [each[1:] for each in SENTENCES],
    ids=[each[0] for each in SENTENCES],
)
def test_a_decision_is_one_sentence(outcome: Outcome, event_type: str, pt: str, en: str) -> None:
    assert decision_sentence(outcome, event_type) == pt
    assert decision_sentence(outcome, event_type, "en") == en


def test_a_sentence_may_reveal_a_personal_value_on_request() -> None:
    outcome = decided(compiled({"field": "data.name", "operator": "=", "value": "Ana"}), event(name="Maria"))
    assert decision_sentence(outcome, "lead.created", reveal=True).startswith(
        "Não disparou: 'nome' era \"Maria\""
    )


def test_a_trigger_is_one_sentence() -> None:
    definition = a_definition(
        IS_ADS,
        {
            "combinator": "or",
            "rules": [
                {"field": "data.utm.campaign", "operator": "contains", "value": "verão"},
                {"field": "data.interest_text", "operator": "containsAny", "value": ["preço", "valor"]},
            ],
        },
        {"combinator": "and", "not": True, "rules": [{"field": "data.email", "operator": "null"}]},
    )
    assert definition_sentence(definition) == (
        'Quando um lead é criado e origem é "ads" e (utm › campanha contém "verão" ou interesse contém um destes: '
        '"preço" ou "valor") e não (e-mail não está preenchido), então enviar webhook para hooks.example.com.'
    )
    assert definition_sentence(definition, "en") == (
        'When lead.created happens and source is "ads" and (utm › campaign contains "verão" or interest text contains '
        'one of "preço" or "valor") and not (email is missing), then send a webhook to hooks.example.com.'
    )


def test_a_trigger_with_a_flaw_still_has_a_sentence() -> None:
    sentence = definition_sentence(a_definition({**IS_ADS, "field": "data.zzzz"}, event_type="lead.*"))
    assert sentence.startswith('Quando chega um evento "lead.*" e (condições ainda com erros), então')
