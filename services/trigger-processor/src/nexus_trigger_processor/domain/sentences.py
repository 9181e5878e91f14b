"""Triggers and decisions in one sentence each: deterministic, from the definition and the decision alone."""

from __future__ import annotations

from urllib.parse import urlsplit

from nexus_trigger_processor.domain.actions import Action
from nexus_trigger_processor.domain.conditions import (
    MASK,
    ClauseResult,
    ConditionInvalid,
    Operator,
    compile_condition,
    operator_for,
)
from nexus_trigger_processor.domain.conditions.matching import Clause, Group
from nexus_trigger_processor.domain.definitions import TriggerDefinition
from nexus_trigger_processor.domain.fields import Field, FieldSet, fields_for
from nexus_trigger_processor.domain.triggers import Outcome
from nexus_trigger_processor.domain.wording import Language, happening, label, listed, spoken


def definition_sentence(definition: TriggerDefinition, language: Language = "pt") -> str:
    """Quando um lead é criado e origem é "ads", então enviar webhook para hooks.example.com."""
    when = happening(definition.event_type, language)
    conditions = _conditions(definition, language)
    actions = listed([_action(action, language) for action in definition.actions], _and(language))
    if conditions:
        when = f"{when} {_and(language)} {conditions}"
    return f"Quando {when}, então {actions}." if language == "pt" else f"When {when}, then {actions}."


def decision_sentence(
    outcome: Outcome, event_type: str, language: Language = "pt", *, reveal: bool = False
) -> str:
    """Não disparou: 'origem' era "site", esperado "ads".

    `event_type` is the trigger's (a name or a pattern). Values of personal fields are masked unless `reveal`.
    """
    pt = language == "pt"
    match outcome.kind:
        case "fired" if outcome.tree is None or not outcome.tree.rules:
            return "Disparou: não há condições." if pt else "Fired: there are no conditions."
        case "fired":
            return "Disparou: as condições foram atendidas." if pt else "Fired: the conditions were met."
        case "suppressed":
            return _suppressed(outcome, pt=pt)
        case "error":
            return _error(outcome, fields_for(event_type), language)
    did_not = "Não disparou" if pt else "Did not fire"
    if outcome.failure is None:
        return f"{did_not}."
    return f"{did_not}: {_blame(outcome.failure, fields_for(event_type), language, reveal=reveal)}."


def _and(language: Language) -> str:
    return "e" if language == "pt" else "and"


def _or(language: Language) -> str:
    return "ou" if language == "pt" else "or"


def _conditions(definition: TriggerDefinition, language: Language) -> str:
    if definition.conditions is None:
        return ""
    try:
        condition = compile_condition(definition.conditions, fields_for(definition.event_type))
    except ConditionInvalid:
        return "(condições ainda com erros)" if language == "pt" else "(conditions that still have flaws)"
    return _group(condition.root, language) if condition.root.rules else ""


def _group(group: Group, language: Language) -> str:
    word = _and(language) if group.combinator == "and" else _or(language)
    said = [
        f"({_group(rule, language)})"
        if isinstance(rule, Group) and not rule.negated
        else _rule(rule, language)
        for rule in group.rules
    ]
    text = f" {word} ".join(said)
    return f"{'não' if language == 'pt' else 'not'} ({text})" if group.negated else text


def _rule(rule: Clause | Group, language: Language) -> str:
    if isinstance(rule, Group):
        return _group(rule, language)
    operator = rule.operator.pt if language == "pt" else rule.operator.en
    wanted = _wanted(rule.operator, rule.expected, rule.field, language)
    return f"{label(rule.field.path, language)} {operator} {wanted}".rstrip()


def _wanted(operator: Operator, expected: object, field: Field, language: Language) -> str:
    if operator.takes == "nothing":
        return ""
    if operator.takes == "two" and isinstance(expected, list):
        return listed([spoken(each, language, field) for each in expected], _and(language))
    return spoken(expected, language, field)


def _action(action: Action, language: Language) -> str:
    host = urlsplit(action.parameters.url).hostname or "?"
    return f"enviar webhook para {host}" if language == "pt" else f"send a webhook to {host}"


def _blame(failure: ClauseResult, fields: FieldSet, language: Language, *, reveal: bool) -> str:
    field = fields.find(failure.field) or Field(failure.field, "any")
    operator = operator_for(field, failure.operator, failure.expected)
    was = _was(failure, field, operator, language, reveal=reveal)
    if operator is None:
        return was
    wanted = _expectation(failure.expected, operator, field, language)
    if language == "pt":
        return f"{was}, {'e a condição exclui' if failure.unwanted else 'esperado'}{wanted}"
    return f"{was}, {'and the condition excludes' if failure.unwanted else 'expected'}{wanted}"


def _was(
    failure: ClauseResult, field: Field, operator: Operator | None, language: Language, *, reveal: bool
) -> str:
    """'origem' era "site"."""
    pt, name = language == "pt", f"'{label(failure.field, language)}'"

    def said(value: object) -> str:
        return MASK if failure.is_personal and not reveal else spoken(value, language, field)

    if operator is not None and operator.reads == "change":
        if not isinstance(failure.actual, dict):
            return f"{name} não mudou" if pt else f"{name} did not change"
        old, new = said(failure.actual["from"]), said(failure.actual["to"])
        return f"{name} mudou de {old} para {new}" if pt else f"{name} changed from {old} to {new}"
    if failure.actual is None:
        return f"{name} não estava preenchido" if pt else f"{name} was missing"
    return f"{name} era {said(failure.actual)}" if pt else f"{name} was {said(failure.actual)}"


def _expectation(expected: object, operator: Operator, field: Field, language: Language) -> str:
    """Follows "esperado": a value for `=`, else ": no mínimo 40"."""
    wanted = _wanted(operator, expected, field, language)
    if operator.name == "=":
        return f" {wanted}"
    phrase = operator.pt if language == "pt" else operator.en
    return f": {phrase.removeprefix('é ').removeprefix('is ')} {wanted}".rstrip()


def _suppressed(outcome: Outcome, *, pt: bool) -> str:
    measured, limit = outcome.measured, outcome.limit
    if outcome.reason == "loop":
        if pt:
            return f"Suprimido: o evento já vem de {measured:g} automações seguidas, e o limite é {limit:g}."
        return (
            f"Suppressed: the event comes from {measured:g} automations in a row, and the limit is {limit:g}."
        )
    if pt:
        return f"Suprimido: o evento tinha {_hours(measured, 'pt')} h, e o limite é {_hours(limit, 'pt')} h."
    return (
        f"Suppressed: the event was {_hours(measured, 'en')} h old, and the limit is {_hours(limit, 'en')} h."
    )


def _hours(seconds: float, language: Language) -> str:
    hours = round(seconds / 3600, 1)
    return spoken(int(hours) if hours.is_integer() else hours, language)


def _error(outcome: Outcome, fields: FieldSet, language: Language) -> str:
    if language == "en":
        return f"Error: {outcome.text}."
    failure = outcome.failure
    if failure is None:
        return "Erro: a definição da automação não combina mais com o catálogo de eventos."
    field = fields.find(failure.field) or Field(failure.field, "any")
    operator = operator_for(field, failure.operator, failure.expected)
    wanted = _expectation(failure.expected, operator, field, language) if operator else ""
    return f"Erro: o valor de '{label(failure.field, language)}' não pode ser comparado, esperado{wanted}."
