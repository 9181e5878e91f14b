"""Triggers and decisions in one sentence, in both languages of the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from nexus_trigger_processor.domain.sentences import decision_sentence, definition_sentence
from nexus_trigger_processor.domain.triggers import Outcome, TriggerDefinition


class Sentence(NamedTuple):
    pt: str
    en: str


def about_trigger(document: Mapping[str, Any]) -> Sentence | None:
    """What a stored definition does; None when another build wrote it in a form this one cannot read."""
    try:
        definition = TriggerDefinition.model_validate(document)
    except ValidationError:
        return None
    return about_definition(definition)


def about_definition(definition: TriggerDefinition) -> Sentence:
    return Sentence(definition_sentence(definition, "pt"), definition_sentence(definition, "en"))


def about_decision(outcome: Outcome, event_type: str, *, reveal: bool = False) -> Sentence:
    return Sentence(
        decision_sentence(outcome, event_type, "pt", reveal=reveal),
        decision_sentence(outcome, event_type, "en", reveal=reveal),
    )
