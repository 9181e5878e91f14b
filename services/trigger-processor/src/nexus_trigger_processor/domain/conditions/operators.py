"""The one table of operators: which there are, for which field types, what each compares, and how a sentence says it.

A further operator is a further row. `compare(actual, wanted)` gets both values already readable and of the right type;
what a missing or null field means is the row's `missing`: false, except for the negative operators, and `null`/`empty`.

Text: `=`, `!=`, `in`, `notIn` compare exactly, because sources, codes and ids are texts too. All other operators on
text (`contains`, `beginsWith`, `equalsFolded` …) ignore case and accents, as a person would. Elements of lists are
compared exactly. `changed…` compare a field with `data.previous`, its value before this event.
"""

from __future__ import annotations

import operator as op
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from nexus_trigger_processor.domain.conditions.values import COUNT, FOLDED, Kind, fold
from nexus_trigger_processor.domain.fields import FieldType

Takes = Literal["nothing", "one", "two", "many"]
"""Values an operator is given: none, one, [from, to] (both included), or a list of 1 to 200."""
Reads = Literal["value", "presence", "change"]
"""What an operator looks at: the field's value, only whether there is one, or its change (None, or (old, new))."""

Compare = Callable[[Any, Any], bool]
Change = tuple[Any, Any]
"""(old, new); either is None where there was or is no value."""


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """One row. `pt` and `en` say it in a sentence between the field and the value; `kind` overrides the field's."""

    name: str
    takes: Takes
    compare: Compare
    pt: str
    en: str
    missing: bool = False
    reads: Reads = "value"
    kind: Kind | None = None


def _is_within(actual: Any, wanted: tuple[Any, Any]) -> bool:
    return bool(wanted[0] <= actual <= wanted[1])


def _is_outside(actual: Any, wanted: tuple[Any, Any]) -> bool:
    return not wanted[0] <= actual <= wanted[1]


def _is_one_of(actual: Any, wanted: Container[Any]) -> bool:
    return actual in wanted


def _is_none_of(actual: Any, wanted: Container[Any]) -> bool:
    return actual not in wanted


def _lacks(actual: Container[Any], wanted: Any) -> bool:
    return wanted not in actual


def _has_any(actual: Container[Any], wanted: Iterable[Any]) -> bool:
    return any(one in actual for one in wanted)


def _has_all(actual: Container[Any], wanted: Iterable[Any]) -> bool:
    return all(one in actual for one in wanted)


def _has_none(actual: Container[Any], wanted: Iterable[Any]) -> bool:
    return not _has_any(actual, wanted)


def _begins(actual: str, wanted: str) -> bool:
    return actual.startswith(wanted)


def _does_not_begin(actual: str, wanted: str) -> bool:
    return not actual.startswith(wanted)


def _ends(actual: str, wanted: str) -> bool:
    return actual.endswith(wanted)


def _does_not_end(actual: str, wanted: str) -> bool:
    return not actual.endswith(wanted)


def _has_either(actual: str | list[Any], wanted: Any) -> bool:
    """In data that nobody described: an element of a list, or a part of a text."""
    if isinstance(actual, list):
        return wanted in actual
    return isinstance(wanted, str) and fold(wanted) in fold(actual)


def _lacks_either(actual: str | list[Any], wanted: Any) -> bool:
    return not _has_either(actual, wanted)


def _has_any_either(actual: str | list[Any], wanted: Iterable[Any]) -> bool:
    return any(_has_either(actual, one) for one in wanted)


def _has_none_either(actual: str | list[Any], wanted: Iterable[Any]) -> bool:
    return not _has_any_either(actual, wanted)


def _is_absent(actual: object, _: None) -> bool:
    return actual is None


def _is_present(actual: object, _: None) -> bool:
    return actual is not None


def _is_empty(actual: object, _: None) -> bool:
    return actual is None or (not actual and isinstance(actual, (str, list, dict)))


def _is_not_empty(actual: object, _: None) -> bool:
    return not _is_empty(actual, _)


def _changed_from(change: Change, wanted: Any) -> bool:
    return bool(change[0] == wanted)


def _changed_to(change: Change, wanted: Any) -> bool:
    return bool(change[1] == wanted)


def _increased_by(change: Change, wanted: float) -> bool:
    return None not in change and bool(change[1] - change[0] >= wanted)


def _decreased_by(change: Change, wanted: float) -> bool:
    return None not in change and bool(change[0] - change[1] >= wanted)


def _rows(types: str, *operators: Operator) -> Iterator[tuple[FieldType, Operator]]:
    for name in types.split():
        for operator in operators:
            yield cast(FieldType, name), operator


_TABLE: tuple[tuple[FieldType, Operator], ...] = (
    *_rows(
        "text number money boolean date datetime enum",
        Operator("=", "one", op.eq, "é", "is"),
        Operator("!=", "one", op.ne, "não é", "is not", missing=True),
    ),
    *_rows(
        "text number money date enum",
        Operator("in", "many", _is_one_of, "é um destes:", "is one of"),
        Operator("notIn", "many", _is_none_of, "não é nenhum destes:", "is none of", missing=True),
    ),
    *_rows(
        "number money",
        Operator("<", "one", op.lt, "é menor que", "is less than"),
        Operator("<=", "one", op.le, "é no máximo", "is at most"),
        Operator(">", "one", op.gt, "é maior que", "is more than"),
        Operator(">=", "one", op.ge, "é no mínimo", "is at least"),
    ),
    *_rows(
        "date datetime",
        Operator("<", "one", op.lt, "é antes de", "is before"),
        Operator("<=", "one", op.le, "é no mais tardar", "is no later than"),
        Operator(">", "one", op.gt, "é depois de", "is after"),
        Operator(">=", "one", op.ge, "é a partir de", "is no earlier than"),
    ),
    *_rows(
        "number money date datetime",
        Operator("between", "two", _is_within, "está entre", "is between"),
        Operator("notBetween", "two", _is_outside, "não está entre", "is not between", missing=True),
    ),
    *_rows(
        "text",
        Operator("equalsFolded", "one", op.eq, "é, sem contar acentos,", "is, accents aside,", kind=FOLDED),
        Operator(
            "notEqualsFolded",
            "one",
            op.ne,
            "não é, sem contar acentos,",
            "is not, accents aside,",
            missing=True,
            kind=FOLDED,
        ),
        Operator("contains", "one", op.contains, "contém", "contains", kind=FOLDED),
        Operator(
            "doesNotContain", "one", _lacks, "não contém", "does not contain", missing=True, kind=FOLDED
        ),
        Operator("containsAny", "many", _has_any, "contém um destes:", "contains one of", kind=FOLDED),
        Operator(
            "containsNone",
            "many",
            _has_none,
            "não contém nenhum destes:",
            "contains none of",
            missing=True,
            kind=FOLDED,
        ),
        Operator("beginsWith", "one", _begins, "começa com", "begins with", kind=FOLDED),
        Operator(
            "doesNotBeginWith",
            "one",
            _does_not_begin,
            "não começa com",
            "does not begin with",
            missing=True,
            kind=FOLDED,
        ),
        Operator("endsWith", "one", _ends, "termina com", "ends with", kind=FOLDED),
        Operator(
            "doesNotEndWith",
            "one",
            _does_not_end,
            "não termina com",
            "does not end with",
            missing=True,
            kind=FOLDED,
        ),
    ),
    *_rows(
        "list",
        Operator("contains", "one", op.contains, "contém", "contains"),
        Operator("doesNotContain", "one", _lacks, "não contém", "does not contain", missing=True),
        Operator("containsAny", "many", _has_any, "contém um destes:", "contains one of"),
        Operator("containsAll", "many", _has_all, "contém todos estes:", "contains all of"),
        Operator(
            "containsNone", "many", _has_none, "não contém nenhum destes:", "contains none of", missing=True
        ),
    ),
    *_rows(
        "list any",
        Operator(
            "sizeAtLeast", "one", op.ge, "tem, em itens, no mínimo", "has, in items, at least", kind=COUNT
        ),
        Operator(
            "sizeAtMost", "one", op.le, "tem, em itens, no máximo", "has, in items, at most", kind=COUNT
        ),
    ),
    *_rows(
        "any",
        Operator("contains", "one", _has_either, "contém", "contains"),
        Operator("doesNotContain", "one", _lacks_either, "não contém", "does not contain", missing=True),
        Operator("containsAny", "many", _has_any_either, "contém um destes:", "contains one of"),
        Operator(
            "containsNone",
            "many",
            _has_none_either,
            "não contém nenhum destes:",
            "contains none of",
            missing=True,
        ),
    ),
    *_rows(
        "text number money boolean date datetime enum list object any",
        Operator("null", "nothing", _is_absent, "não está preenchido", "is missing", reads="presence"),
        Operator("notNull", "nothing", _is_present, "está preenchido", "is given", reads="presence"),
    ),
    *_rows(
        "text list object any",
        Operator("empty", "nothing", _is_empty, "está vazio", "is empty", reads="presence"),
        Operator("notEmpty", "nothing", _is_not_empty, "não está vazio", "is not empty", reads="presence"),
    ),
    *_rows(
        "text number money boolean date datetime enum list object any",
        Operator("changed", "nothing", _is_present, "mudou", "changed", reads="change"),
    ),
    *_rows(
        "text number money boolean date datetime enum",
        Operator("changedFrom", "one", _changed_from, "mudou a partir de", "changed from", reads="change"),
        Operator("changedTo", "one", _changed_to, "mudou para", "changed to", reads="change"),
    ),
    *_rows(
        "number money",
        Operator("increasedBy", "one", _increased_by, "aumentou em", "increased by", reads="change"),
        Operator("decreasedBy", "one", _decreased_by, "diminuiu em", "decreased by", reads="change"),
    ),
)


def _by_type() -> dict[FieldType, dict[str, Operator]]:
    table: dict[FieldType, dict[str, Operator]] = {}
    for type_, operator in _TABLE:
        table.setdefault(type_, {})[operator.name] = operator
    return table


OPERATORS: Mapping[FieldType, Mapping[str, Operator]] = _by_type()
"""Operators by field type and name."""
