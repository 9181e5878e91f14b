"""Closures that fetch a field from an event, and closures that decide a clause about it.

They run for every clause of every candidate trigger, so what can be known beforehand is bound, and the usual case (a
field right below `data`, compared as it stands) is one call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from nexus_trigger_processor.domain.conditions.matching import EventView, Getter, Test
from nexus_trigger_processor.domain.conditions.operators import Change, Compare, Operator
from nexus_trigger_processor.domain.conditions.values import Kind

_NOT_NAMED = object()


@lru_cache(maxsize=4096)
def getter(path: str) -> Getter:
    """Fetches the value at a dotted path; None where it is missing, null, or below something that is no object."""
    root, *names = path.split(".")
    if not names:
        return lambda event: event.get(root)
    if len(names) == 1:
        name = names[0]
        return lambda event: event["data"].get(name)
    if len(names) == 2:
        return _inner_getter(*names)
    return _deep_getter(tuple(names))


def _inner_getter(outer: str, inner: str) -> Getter:
    def get(event: EventView) -> Any:
        value = event["data"].get(outer)
        return value.get(inner) if value.__class__ is dict else None

    return get


def _deep_getter(names: tuple[str, ...]) -> Getter:
    def get(event: EventView) -> Any:
        value = event["data"]
        for name in names:
            if value.__class__ is not dict:
                return None
            value = value.get(name)
        return value

    return get


@lru_cache(maxsize=4096)
def change_getter(path: str) -> Getter:
    """Fetches (old, new) of a field that this event changed, else None.

    Old values are in `data.previous`, by the field's dotted name or nested; null there means there was none.
    """
    new_value = getter(path)
    name = path.partition(".")[2]

    def get(event: EventView) -> Change | None:
        old = _previous(event["data"].get("previous"), name)
        if old is _NOT_NAMED:
            return None
        new = new_value(event)
        return (old, new) if old != new else None

    return get


def _previous(old_values: Any, name: str) -> Any:
    if old_values.__class__ is dict and name in old_values:
        return old_values[name]
    for part in name.split("."):
        if old_values.__class__ is not dict or part not in old_values:
            return _NOT_NAMED
        old_values = old_values[part]
    return old_values


@lru_cache(maxsize=4096)
def test_maker(path: str, operator: Operator, kind: Kind) -> Callable[[Any], Test]:
    """Makes tests from wanted values. A test decides about an event; ValueError or TypeError: its value does not fit.

    Tests of one maker share all but the wanted value: there may be hundreds of thousands in memory.
    """
    root, _, name = path.partition(".")
    if operator.reads == "value" and kind.read is None and root == "data" and "." not in name:
        return _direct(name, operator, kind)
    if operator.reads == "change":
        return _composed(change_getter(path), _change_decider(operator, kind))
    if operator.reads == "presence":
        return _composed(getter(path), operator.compare)
    return _composed(getter(path), _value_decider(operator, kind))


def _direct(name: str, operator: Operator, kind: Kind) -> Callable[[Any], Test]:
    compare, classes, missing = operator.compare, kind.classes, operator.missing

    def make(wanted: Any) -> Test:
        def test(event: EventView) -> bool:
            value = event["data"].get(name)
            if value.__class__ in classes:
                return compare(value, wanted)
            if value is None:
                return missing
            raise kind.misfit(value)

        return test

    return make


def _composed(get: Getter, decide: Compare) -> Callable[[Any], Test]:
    def make(wanted: Any) -> Test:
        return lambda event: decide(get(event), wanted)

    return make


def _value_decider(operator: Operator, kind: Kind) -> Compare:
    compare, classes, missing, read = operator.compare, kind.classes, operator.missing, kind.read

    def decide(value: Any, wanted: Any) -> bool:
        if value.__class__ in classes:
            return compare(value if read is None else read(value), wanted)
        if value is None:
            return missing
        raise kind.misfit(value)

    return decide


def _change_decider(operator: Operator, kind: Kind) -> Compare:
    compare = operator.compare
    if operator.takes == "nothing":
        return lambda change, _: change is not None

    def read(value: Any) -> Any:
        if value is None:
            return None
        if value.__class__ not in kind.classes:
            raise kind.misfit(value)
        return value if kind.read is None else kind.read(value)

    def decide(change: Change | None, wanted: Any) -> bool:
        return change is not None and compare((read(change[0]), read(change[1])), wanted)

    return decide
