"""From a condition's JSON to a compiled condition, with everything that is wrong with it.

The JSON is what react-querybuilder exports as `json_without_ids`, with numbers and lists typed:

    {"combinator": "and", "not": false, "rules": [
        {"field": "data.source", "operator": "=", "value": "ads"},
        {"combinator": "or", "rules": [...]}]}
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from nexus_shared.errors import Flaw, InputInvalid
from nexus_trigger_processor.domain.conditions.matching import COMBINATORS, Clause, Condition, Group, combine
from nexus_trigger_processor.domain.conditions.operators import OPERATORS, Operator
from nexus_trigger_processor.domain.conditions.reading import change_getter, getter, test_maker
from nexus_trigger_processor.domain.conditions.values import KINDS, Kind, Misfit, is_date, list_of
from nexus_trigger_processor.domain.fields import Field, FieldSet, FieldType

MAX_DEPTH = 8
MAX_RULES = 200
MAX_VALUES = 200
MAX_FLAWS = 50
"""After so many flaws the rest of the tree is not looked at: suggestions cost time."""
FEW = 6
"""Up to so many values a tuple is searched as fast as a set, and is smaller."""

_GROUP_KEYS = frozenset({"combinator", "not", "rules"})
_CLAUSE_KEYS = frozenset({"field", "operator", "value", "valueSource"})
_ALSO_KNOWN_AS = {
    "==": "=", "eq": "=", "equals": "=", "is": "=", "<>": "!=", "ne": "!=", "notEquals": "!=",
    "lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "startsWith": "beginsWith",
    "isNull": "null", "isNotNull": "notNull", "exists": "notNull", "isEmpty": "empty", "isNotEmpty": "notEmpty",
}  # fmt: skip


class ConditionInvalid(InputInvalid):
    """The condition does not fit the event; `flaws` say where and why."""

    slug = "condition-invalid"
    title = "The condition is not valid"


def check_condition(tree: object, fields: FieldSet, at: str = "") -> list[Flaw]:
    """All flaws of a condition for events with these fields; `at` prefixes their pointers."""
    return _Builder(fields).build(tree, at)[1]


def compile_condition(tree: object, fields: FieldSet, at: str = "") -> Condition:
    """The condition, ready to decide. ConditionInvalid with all flaws when it does not fit."""
    condition, flaws = _Builder(fields).build(tree, at)
    if flaws or condition is None:
        raise ConditionInvalid(f"The condition has {len(flaws)} flaw(s)", flaws=flaws)
    return condition


def operator_for(field: Field, name: object, value: object) -> Operator | None:
    """The row that a clause on this field means by its operator's name; None if there is none."""
    type_ = field.type if field.type != "any" else _type_for(name, value)
    return OPERATORS[type_].get(name) if isinstance(name, str) else None


class _Builder:
    """Walks a tree once, making clauses and collecting flaws. What has a flaw is built as None."""

    def __init__(self, fields: FieldSet) -> None:
        self._fields = fields
        self._flaws: list[Flaw] = []
        self._rules = 0

    def build(self, tree: object, at: str) -> tuple[Condition | None, list[Flaw]]:
        if not isinstance(tree, dict):
            self._flaw(at, 'Give a group such as {"combinator": "and", "rules": [...]}')
            return None, self._flaws
        root = self._group(tree, at, depth=1)
        return (Condition(root) if root and not self._flaws else None), self._flaws

    def _flaw(self, pointer: str, message: str, code: str = "invalid") -> None:
        self._flaws.append(Flaw(pointer, message, code))

    def _group(self, node: dict[str, Any], at: str, *, depth: int) -> Group | None:
        if depth > MAX_DEPTH:
            self._flaw(at, f"Groups can be nested {MAX_DEPTH} deep at most", "too_deep")
            return None
        self._check_keys(node, _GROUP_KEYS, at)
        combinator, negated, rules = node.get("combinator"), node.get("not", False), node.get("rules")
        if combinator not in COMBINATORS:
            self._flaw(f"{at}/combinator", 'Use "and" or "or"')
        if not isinstance(negated, bool):
            self._flaw(f"{at}/not", "Use true or false")
        if not isinstance(rules, list) or not (rules or depth == 1):
            self._flaw(f"{at}/rules", "Give a list of at least one rule or group")
            return None
        built = [self._node(rule, f"{at}/rules/{i}", depth) for i, rule in enumerate(rules[: MAX_RULES + 1])]
        if combinator not in COMBINATORS:
            return None
        return combine(combinator, negated is True, tuple(filter(None, built)))

    def _node(self, rule: object, at: str, depth: int) -> Clause | Group | None:
        self._rules += 1
        if len(self._flaws) >= MAX_FLAWS:
            return None
        if self._rules > MAX_RULES:
            if self._rules == MAX_RULES + 1:
                self._flaw(at, f"{MAX_RULES} rules and groups at most", "too_many")
            return None
        if not isinstance(rule, dict):
            self._flaw(at, 'Give a rule {"field", "operator", "value"} or a group {"combinator", "rules"}')
            return None
        if "rules" in rule or "combinator" in rule:
            return self._group(rule, at, depth=depth + 1)
        return self._clause(rule, at)

    def _clause(self, rule: dict[str, Any], at: str) -> Clause | None:
        self._check_keys(rule, _CLAUSE_KEYS, at)
        if rule.get("valueSource", "value") != "value":
            self._flaw(f"{at}/valueSource", 'Only "value" is possible: fields are compared with values')
            return None
        name, value = rule.get("operator"), rule.get("value")
        field = self._field(rule.get("field"), name, f"{at}/field")
        if field is None:
            return None
        type_ = field.type if field.type != "any" else _type_for(name, value)
        operator = self._operator(name, type_, field, f"{at}/operator")
        if operator is None:
            return None
        kind = operator.kind or (list_of(KINDS[field.item]) if type_ == "list" else KINDS[type_])
        try:
            wanted = _wanted(operator, kind, field, value)
        except Misfit as misfit:
            self._flaw(f"{at}/value", f"'{field.path}' {operator.name}: {misfit}", "wrong_value")
            return None
        get = change_getter(field.path) if operator.reads == "change" else getter(field.path)
        expected = None if operator.takes == "nothing" else value
        return Clause(get, test_maker(field.path, operator, kind)(wanted), field, operator, expected)

    def _field(self, path: object, operator: object, at: str) -> Field | None:
        if not isinstance(path, str):
            self._flaw(at, 'Name a field such as "data.source"')
            return None
        field = self._fields.find(path) or (
            self._fields.find_changed(path) if _reads_change(operator) else None
        )
        if field is None:
            near = self._fields.nearest(path)
            hint = f"; did you mean '{near}'?" if near else ""
            self._flaw(at, f"There is no field '{path[:80]}'{hint}", "unknown_field")
        return field

    def _operator(self, name: object, type_: FieldType, field: Field, at: str) -> Operator | None:
        possible = OPERATORS[type_]
        operator = possible.get(name) if isinstance(name, str) else None
        if operator is None:
            self._flaw(at, _no_such_operator(name, type_, field, possible), "unknown_operator")
        elif operator.reads == "change" and self._fields.find("data.previous") is None:
            self._flaw(at, f"'{name}' needs previous values, and this event carries none", "unknown_operator")
            return None
        return operator

    def _check_keys(self, node: dict[str, Any], known: frozenset[str], at: str) -> None:
        for key in sorted(node.keys() - known)[:MAX_FLAWS]:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(sorted(known))}"
            self._flaw(f"{at}/{pointer_part(key)}", f"Unknown key '{str(key)[:80]}'{hint}", "unknown_key")


def pointer_part(key: object) -> str:
    """A key as part of a JSON pointer."""
    return str(key)[:80].replace("~", "~0").replace("/", "~1")


def _reads_change(name: object) -> bool:
    return isinstance(name, str) and any(
        name in operators and operators[name].reads == "change" for operators in OPERATORS.values()
    )


def _no_such_operator(name: object, type_: FieldType, field: Field, possible: Iterable[str]) -> str:
    names = list(possible)
    near = [_ALSO_KNOWN_AS.get(str(name), ""), *difflib.get_close_matches(str(name)[:40], names, n=1)]
    hint = next((f"; did you mean '{one}'?" for one in near if one in names), "")
    return f"'{str(name)[:40]}' cannot be used with '{field.path}' ({type_}){hint}; use one of {', '.join(names)}"


def _type_for(operator: object, value: object) -> FieldType:
    """The type to compare as when the catalogue does not know the field: the operator's, else the value's."""
    if operator in OPERATORS["any"]:
        return "any"
    sample = value[0] if isinstance(value, list) and value else value
    match sample:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str() if operator in OPERATORS["date"] and operator not in OPERATORS["text"]:
            return "date" if is_date(sample) else "datetime"
        case _:
            return "text"


def _wanted(operator: Operator, kind: Kind, field: Field, value: Any) -> Any:
    """The condition's value in its comparable, hashable form. Misfit says what was expected instead."""
    if operator.takes == "nothing":
        return None
    if operator.takes == "one":
        return _one(kind, field, value)
    if operator.takes == "two":
        return _range(kind, field, value)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
        raise Misfit(f"expected a list of 1 to {MAX_VALUES} values")
    wanted = tuple(dict.fromkeys(_one(kind, field, one) for one in value))
    return wanted if len(wanted) <= FEW else frozenset(wanted)


def _one(kind: Kind, field: Field, value: object) -> Any:
    wanted = kind.parse(value)
    if field.values and isinstance(value, str) and value not in field.values:
        near = difflib.get_close_matches(value, field.values, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise Misfit(f"'{value[:40]}' is none of its values ({', '.join(field.values)}){hint}")
    return wanted


def _range(kind: Kind, field: Field, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise Misfit("expected a list of two values, the smaller first")
    low, high = (_one(kind, field, one) for one in value)
    if low > high:
        raise Misfit("the first value is greater than the second; swap them")
    return low, high
