"""Decisions that were kept, as outcomes again: for showing them with personal values masked or not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nexus_trigger_processor.domain.conditions import ClauseResult, GroupResult, Result, first_failure
from nexus_trigger_processor.domain.fields import FieldSet
from nexus_trigger_processor.domain.triggers import Outcome


def recorded_outcome(kept: Mapping[str, Any], fields: FieldSet) -> Outcome:
    """The outcome in `kept`, which is what `Outcome.as_dict(reveal=True)` gave.

    `fields` are those of the trigger's event type: they say which values are personal. A field that they do not know
    (any more) counts as personal.
    """
    conditions = kept.get("conditions")
    tree = _group(conditions, fields) if conditions is not None else None
    return Outcome(
        kept["outcome"],
        kept.get("reason", ""),
        kept.get("text", ""),
        failure=first_failure(tree) if tree is not None else None,
        tree=tree,
        measured=kept.get("measured", 0),
        limit=kept.get("limit", 0),
    )


def _group(kept: Mapping[str, Any], fields: FieldSet) -> GroupResult:
    rules = tuple(_rule(rule, fields) for rule in kept["rules"])
    return GroupResult(kept["pointer"], kept["passed"], kept["combinator"], kept["not"], rules)


def _rule(kept: Mapping[str, Any], fields: FieldSet) -> Result:
    if "rules" in kept:
        return _group(kept, fields)
    path = kept["field"]
    field = fields.find(path) or fields.find_changed(path)
    return ClauseResult(
        kept["pointer"],
        kept["passed"],
        path,
        kept["operator"],
        kept["expected"],
        kept["actual"],
        kept.get("error", ""),
        is_personal=field.is_personal if field is not None else True,
    )
