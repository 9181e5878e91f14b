"""A compiled condition: a fast yes or no, and the same decision with every clause's values.

An event is a plain dict {"type", "source", "subject", "time", "data": {…}}. A clause that cannot be decided (a text
where a number should be) is an error, never a silent no. Groups count it as unknown: false decides an `and` and true
an `or` whatever else is unknown, in any order; else the group is undecided too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from nexus_trigger_processor.domain.conditions.operators import Operator
from nexus_trigger_processor.domain.conditions.values import form
from nexus_trigger_processor.domain.fields import Field

EventView = Mapping[str, Any]
Getter = Callable[[EventView], Any]
Test = Callable[[EventView], bool]
Combinator = Literal["and", "or"]
COMBINATORS = ("and", "or")

MAX_SHOWN = 200
MASK = "•••"


class ConditionUndecided(ValueError):
    """An event's value is of another kind than the condition expects; `result` is the tree with the error in place."""

    def __init__(self, text: str, result: Result) -> None:
        super().__init__(text)
        self.result = result


class ClauseResult(NamedTuple):
    """One clause, decided. `passed` is None when it could not be, then `error` says why.

    `pointer` is the clause's place in the tree; `unwanted`: it passed, and a negated group wanted it not to.
    """

    pointer: str
    passed: bool | None
    field: str
    operator: str
    expected: Any
    actual: Any
    error: str = ""
    is_personal: bool = False
    unwanted: bool = False

    def as_dict(self, *, reveal: bool = False) -> dict[str, Any]:
        """For keeping and showing: a personal value is masked unless `reveal`, a long one cut."""
        hidden = self.is_personal and not reveal and self.actual is not None
        answer = {
            "pointer": self.pointer,
            "passed": self.passed,
            "field": self.field,
            "operator": self.operator,
            "expected": self.expected,
            "actual": MASK if hidden else _cut(self.actual),
        }
        if self.error:
            answer["error"] = self.error
        return answer


class GroupResult(NamedTuple):
    """A group, decided: `passed` already counts `negated`."""

    pointer: str
    passed: bool | None
    combinator: Combinator
    negated: bool
    rules: tuple[ClauseResult | GroupResult, ...]

    def as_dict(self, *, reveal: bool = False) -> dict[str, Any]:
        return {
            "pointer": self.pointer,
            "passed": self.passed,
            "combinator": self.combinator,
            "not": self.negated,
            "rules": [rule.as_dict(reveal=reveal) for rule in self.rules],
        }


Result = ClauseResult | GroupResult


@dataclass(slots=True, eq=False)
class Clause:
    """One comparison: `test` decides about an event, `get` fetches what an explanation shows."""

    get: Getter
    test: Test
    field: Field
    operator: Operator
    expected: Any

    def explain(self, event: EventView, pointer: str) -> ClauseResult:
        value = self.get(event)
        passed, error = None, ""
        try:
            passed = self.test(event)
        except (ValueError, TypeError) as reason:
            error = f"{self.field.path}: {reason}"
        if self.operator.reads == "change" and value is not None:
            value = {"from": value[0], "to": value[1]}
        field = self.field
        return ClauseResult(
            pointer, passed, field.path, self.operator.name, self.expected, value, error, field.is_personal
        )


@dataclass(slots=True, eq=False)
class Group:
    """Clauses and groups under one combinator."""

    test: Test
    combinator: Combinator
    negated: bool
    rules: tuple[Clause | Group, ...]

    def explain(self, event: EventView, pointer: str) -> GroupResult:
        rules = tuple(rule.explain(event, f"{pointer}/rules/{i}") for i, rule in enumerate(self.rules))
        passed = combined(self.combinator, [rule.passed for rule in rules])
        if self.negated and passed is not None:
            passed = not passed
        return GroupResult(pointer, passed, self.combinator, self.negated, rules)


class Condition:
    """A compiled condition tree."""

    __slots__ = ("_test", "root")

    def __init__(self, root: Group) -> None:
        self.root = root
        self._test = root.test

    def matches(self, event: EventView) -> bool:
        """The fast answer. Raises ConditionUndecided where there is none."""
        try:
            return self._test(event)
        except (ValueError, TypeError):
            return _decided(self.root.explain(event, ""))

    def explain(self, event: EventView, at: str = "") -> GroupResult:
        """The whole tree with both values of every clause; `at` prefixes the pointers."""
        return self.root.explain(event, at)

    def clauses(self) -> Iterator[Clause]:
        """All clauses, in order."""
        yield from _clauses_of(self.root)


def _clauses_of(group: Group) -> Iterator[Clause]:
    for rule in group.rules:
        if isinstance(rule, Group):
            yield from _clauses_of(rule)
        else:
            yield rule


def combined(combinator: Combinator, answers: list[bool | None]) -> bool | None:
    """Three-valued: what decides, decides; then what is unknown makes all unknown."""
    decisive = combinator == "or"
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive


def first_failure(result: Result) -> ClauseResult | None:
    """The first clause to blame for a result that is not true; None when it is true, or nothing was asked."""
    return None if result.passed else _blamed(result, wanted=True)


def _blamed(result: Result, *, wanted: bool) -> ClauseResult | None:
    if isinstance(result, ClauseResult):
        return result if wanted else result._replace(unwanted=True)
    wanted = wanted is not result.negated
    blamable = None if result.passed is None else not wanted
    for rule in result.rules:
        if rule.passed is blamable:
            return _blamed(rule, wanted=wanted)
    return None


def _decided(result: GroupResult) -> bool:
    if result.passed is None:
        failure = first_failure(result)
        raise ConditionUndecided(failure.error if failure else "undecided", result)
    return result.passed


def _cut(value: Any) -> Any:
    """A value fit to be kept with a decision: texts cut, lists and objects only described."""
    match value:
        case {"from": old, "to": new}:
            return {"from": _cut(old), "to": _cut(new)}
        case str() if len(value) > MAX_SHOWN:
            return f"{value[:MAX_SHOWN]}…"
        case list() | dict() if len(str(value)) > MAX_SHOWN:
            return form(value)
        case _:
            return value


def combine(combinator: Combinator, negated: bool, rules: tuple[Clause | Group, ...]) -> Group:
    """A group whose `test` asks its rules in order and stops at the first that decides."""
    make = _MAKERS[combinator, negated]
    return Group(make(tuple(rule.test for rule in rules)), combinator, negated, rules)


def _until_false(when_decided: bool) -> Callable[[tuple[Test, ...]], Test]:
    otherwise = not when_decided

    def make(tests: tuple[Test, ...]) -> Test:
        def test(event: EventView) -> bool:
            for passes in tests:
                if not passes(event):
                    return when_decided
            return otherwise

        return test

    return make


def _until_true(when_decided: bool) -> Callable[[tuple[Test, ...]], Test]:
    otherwise = not when_decided

    def make(tests: tuple[Test, ...]) -> Test:
        def test(event: EventView) -> bool:
            for passes in tests:
                if passes(event):
                    return when_decided
            return otherwise

        return test

    return make


_MAKERS = {
    ("and", False): _until_false(when_decided=False),
    ("and", True): _until_false(when_decided=True),
    ("or", False): _until_true(when_decided=True),
    ("or", True): _until_true(when_decided=False),
}
