"""Conditions: a typed tree in react-querybuilder's JSON, checked at save, compiled once, explained clause by clause.

What a missing or null field means: every comparison is false, except the negative ones (`!=`, `notIn`, `notBetween`,
`doesNot…`, `containsNone`), which are true, and `null`/`empty`, which ask just that. A value of another type than the
clause expects is an error (`ConditionUndecided`), never a silent no.
"""

from nexus_trigger_processor.domain.conditions.matching import (
    MASK,
    ClauseResult,
    Condition,
    ConditionUndecided,
    EventView,
    GroupResult,
    Result,
    first_failure,
)
from nexus_trigger_processor.domain.conditions.operators import OPERATORS, Operator
from nexus_trigger_processor.domain.conditions.tree import (
    ConditionInvalid,
    check_condition,
    compile_condition,
    operator_for,
    pointer_part,
)

__all__ = [
    "MASK",
    "OPERATORS",
    "ClauseResult",
    "Condition",
    "ConditionInvalid",
    "ConditionUndecided",
    "EventView",
    "GroupResult",
    "Operator",
    "Result",
    "check_condition",
    "compile_condition",
    "first_failure",
    "operator_for",
    "pointer_part",
]
