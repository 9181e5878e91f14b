"""Cutting data in two at the door, and joining it again: what may be read in the log, and what must be sealed.

Works on the publisher's own values, so that what comes back is exactly what was given. Sealed is whatever the
catalogue marks personal or health, and whatever it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nexus_shared.catalogue.base import Part
from nexus_shared.catalogue.fields import Declared, declared

Data = dict[str, Any]


class Plan:
    """How to split the data of one model; made once per type. `is_open`: it has no sealed field anywhere."""

    __slots__ = ("_lists", "_nested", "_open", "is_open")

    def __init__(self, model: type[Part]) -> None:
        fields = [field for field in declared(model) if not field.own.is_sealed]
        parts = {field.name: Plan(field.part) for field in fields if field.part is not None}
        self.is_open: bool = len(fields) == len(model.model_fields) and all(
            plan.is_open for plan in parts.values()
        )
        self._open = frozenset(field.name for field in fields if _is_plain(field))
        self._nested = {field.name: parts[field.name] for field in fields if field.part and not field.is_list}
        self._lists = {field.name: parts[field.name] for field in fields if field.part and field.is_list}

    def split(self, data: Mapping[str, Any]) -> tuple[Data, Data]:
        """(open, sealed). An object with fields of both sorts appears in both; a list never does."""
        readable: Data = {}
        sealed: Data = {}
        plain = self._open
        for name, value in data.items():
            if name in plain:
                readable[name] = value
            elif name in self._nested and type(value) is dict and value:
                self._split_nested(name, value, readable, sealed)
            elif name in self._lists and self._may_read(self._lists[name], value):
                readable[name] = value
            else:
                sealed[name] = value
        return readable, sealed

    def _split_nested(self, name: str, value: Data, readable: Data, sealed: Data) -> None:
        inner_readable, inner_sealed = self._nested[name].split(value)
        if inner_readable:
            readable[name] = inner_readable
        if inner_sealed:
            sealed[name] = inner_sealed

    @staticmethod
    def _may_read(item_plan: Plan, value: Any) -> bool:
        """True for a list of objects whose every field is known and open."""
        if type(value) is not list or not item_plan.is_open:
            return False
        return all(type(item) is dict and not item_plan.split(item)[1] for item in value)


def join(readable: Mapping[str, Any], sealed: Mapping[str, Any]) -> Data:
    """The data as it was given: the inverse of every split."""
    if readable.keys().isdisjoint(sealed):
        return {**readable, **sealed}
    joined = dict(readable)
    for name, value in sealed.items():
        joined[name] = join(joined[name], value) if name in joined else value
    return joined


def split_unknown(data: Mapping[str, Any]) -> tuple[Data, Data]:
    """Of a type nobody declared nothing may be read: all of it is sealed."""
    return {}, dict(data)


def _is_plain(field: Declared) -> bool:
    return field.part is None
