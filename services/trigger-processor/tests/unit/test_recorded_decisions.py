"""A decision that was kept reads as it did when it was made."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from nexus_trigger_processor.domain.fields import FieldSet, fields_for
from nexus_trigger_processor.domain.recorded import recorded_outcome
from nexus_trigger_processor.domain.sentences import decision_sentence
from nexus_trigger_processor.domain.triggers import Outcome, TriggerDefinition, compile_trigger

NAME = {"field": "data.name", "operator": "=", "value": "Maria"}
ADS = {"field": "data.source", "operator": "=", "value": "ads"}
OLDER = {"field": "data.consent.at", "operator": "<", "value": "2026-01-01T00:00:00-03:00"}
EVENT: dict[str, Any] = {
    "type": "lead.created",
    "source": "crm",
    "subject": "lead/1",
    "time": "2026-11-23T09:00:00Z",
    "data": {"name": "João", "source": "site", "consent": {"at": "ontem"}},
}


def decided(conditions: Any, *, hops: int = 0, age: timedelta = timedelta()) -> Outcome:
    definition = TriggerDefinition.model_validate(
        {
            "name": "T",
            "event_type": "lead.created",
            "conditions": conditions,
            "actions": [{"key": "a", "kind": "send_webhook", "parameters": {"url": "https://a.example/"}}],
        }
    )
    return compile_trigger(UUID(int=1), 1, definition, 0).decide(EVENT, hops=hops, age=age)


def both(*rules: Any, combinator: str = "and", negated: bool = False) -> dict[str, Any]:
    return {"combinator": combinator, "not": negated, "rules": list(rules)}


OUTCOMES = {
    "not matched": decided(both(ADS)),
    "personal": decided(both(NAME)),
    "negated": decided(both({**ADS, "value": "site"}, negated=True)),
    "nested": decided(both(both(NAME, ADS, combinator="or"), both(NAME, negated=True))),
    "undecidable": decided(both(OLDER)),
    "fired": decided(both({**ADS, "value": "site"})),
    "without conditions": decided(None),
    "loop": decided(None, hops=9),
    "too old": decided(None, age=timedelta(days=3)),
}


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
@pytest.mark.parametrize("reveal", [False, True])
def test_what_is_kept_reads_as_what_was_decided(outcome: Outcome, reveal: bool) -> None:
    kept = orjson.loads(orjson.dumps(outcome.as_dict(reveal=True)))
    again = recorded_outcome(kept, fields_for("lead.created"))
    assert again.as_dict(reveal=reveal) == outcome.as_dict(reveal=reveal)
    for language in ("pt", "en"):
        said = decision_sentence(again, "lead.created", language, reveal=reveal)
        assert said == decision_sentence(outcome, "lead.created", language, reveal=reveal)


def test_a_field_that_nobody_knows_any_more_counts_as_personal() -> None:
    kept = orjson.loads(orjson.dumps(OUTCOMES["not matched"].as_dict(reveal=True)))
    assert "site" not in str(recorded_outcome(kept, FieldSet(())).as_dict())
