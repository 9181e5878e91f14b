"""What a published trigger makes of an event. Pure: hops and the event's age are handed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from sys import intern
from typing import Any, Literal
from uuid import UUID

from nexus_trigger_processor.domain.actions import CompiledAction, OutsideChecks, compile_action
from nexus_trigger_processor.domain.conditions import (
    ClauseResult,
    Condition,
    ConditionInvalid,
    EventView,
    GroupResult,
    compile_condition,
    first_failure,
)
from nexus_trigger_processor.domain.definitions import (
    DefinitionInvalid,
    TriggerDefinition,
    check,
    covers,
    hints,
    is_pattern,
    read_definition,
)
from nexus_trigger_processor.domain.fields import fields_for

__all__ = [
    "CompiledTrigger",
    "DefinitionInvalid",
    "Outcome",
    "OutsideChecks",
    "TriggerDefinition",
    "check",
    "compile_trigger",
    "covers",
    "hints",
    "is_pattern",
    "read_definition",
]

OutcomeKind = Literal["fired", "not_matched", "suppressed", "error"]
Reason = Literal["", "condition", "too_old", "loop", "undecidable", "broken", "template"]
"""Why not: a condition failed · the event is too old · too many hops · a value does not fit its comparison · the
definition no longer fits the catalogue."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision. `failure` is the first clause to blame, `tree` all of them with both values; None without conditions.

    `text` says what went wrong (error). `measured` and `limit` are seconds for `too_old`, hops for `loop`.
    """

    kind: OutcomeKind
    reason: Reason = ""
    text: str = ""
    failure: ClauseResult | None = None
    tree: GroupResult | None = None
    measured: float = 0
    limit: float = 0

    def as_dict(self, *, reveal: bool = False) -> dict[str, Any]:
        """For keeping and showing; values of personal fields are masked unless `reveal`."""
        answer: dict[str, Any] = {"outcome": self.kind, "reason": self.reason}
        if self.text:
            answer["text"] = self.text
        if self.kind == "suppressed":
            answer |= {"measured": self.measured, "limit": self.limit}
        if self.failure is not None:
            answer["failure"] = self.failure.as_dict(reveal=reveal)
        if self.tree is not None:
            answer["conditions"] = self.tree.as_dict(reveal=reveal)
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTrigger:
    """One published version, ready to decide. Events at positions up to `effective_after` are none of its business.

    `broken` says why a definition that was valid once cannot be compiled any more: such a trigger decides `error`.
    """

    trigger_id: UUID
    version: int
    event_type: str
    effective_after: int
    condition: Condition | None
    actions: tuple[CompiledAction, ...]
    max_event_age: timedelta
    max_hops: int
    broken: str = ""

    def decide(self, event: EventView, *, hops: int, age: timedelta) -> Outcome:
        """What to do about an event: `hops` as it came, `age` when it was recorded.

        Conditions come first, so that `suppressed` means: it would have fired.
        """
        if self.broken:
            return Outcome("error", "broken", self.broken)
        tree = self.condition.explain(event, "/conditions") if self.condition is not None else None
        if tree is not None and not tree.passed:
            return _failed(tree)
        if hops >= self.max_hops:
            return Outcome("suppressed", "loop", tree=tree, measured=hops, limit=self.max_hops)
        if age > self.max_event_age:
            seconds, limit = age.total_seconds(), self.max_event_age.total_seconds()
            return Outcome("suppressed", "too_old", tree=tree, measured=seconds, limit=limit)
        return Outcome("fired", tree=tree)


def _failed(tree: GroupResult) -> Outcome:
    failure = first_failure(tree)
    if tree.passed is None:
        return Outcome("error", "undecidable", failure.error if failure else "", failure, tree)
    return Outcome("not_matched", "condition", "", failure, tree)


def compile_trigger(
    trigger_id: UUID, version: int, definition: TriggerDefinition, effective_after: int
) -> CompiledTrigger:
    """Never fails: a definition that no longer fits the catalogue becomes a trigger that says so at every event."""
    condition, broken = None, ""
    if definition.conditions is not None:
        try:
            condition = compile_condition(
                definition.conditions, fields_for(definition.event_type), "/conditions"
            )
        except ConditionInvalid as invalid:
            broken = "; ".join(f"{flaw.pointer}: {flaw.message}" for flaw in invalid.flaws[:3])
    return CompiledTrigger(
        trigger_id,
        version,
        intern(definition.event_type),
        effective_after,
        condition,
        tuple(compile_action(action) for action in definition.actions),
        definition.flow.max_event_age,
        definition.flow.max_hops,
        broken,
    )
