"""The fields that conditions and templates may name: those of an event type, and the envelope's own.

A path is dotted: `data.phone`, `data.utm.source`, `type`, `source`, `subject`, `time`. Events of a type that the
catalogue does not know have open data: any `data.…` path is a field, its type is taken from the value compared with.
So are the paths below an object whose fields the catalogue does not name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Literal

from nexus_shared import catalogue
from nexus_shared.catalogue.fields import ENVELOPE as ENVELOPE_FIELDS
from nexus_shared.catalogue.fields import FieldInfo

FieldType = Literal["text", "number", "money", "boolean", "date", "datetime", "enum", "list", "object", "any"]
"""`money` is integer cents, `date` an ISO date, `datetime` ISO 8601 with offset; `any` is known only at run time."""

MAX_PATH = 200
PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*\Z")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event.

    `values` are those an enum may have; `item` is the type of a list's elements; a personal field's value is masked
    wherever decisions are kept or shown.
    """

    path: str
    type: FieldType
    values: tuple[str, ...] = ()
    item: FieldType = "any"
    description: str = ""
    is_personal: bool = False


def field_of(info: FieldInfo) -> Field:
    """A field as the catalogue describes it."""
    return Field(
        info.path,
        info.kind.value,
        values=info.values if info.is_closed else (),
        item=info.items.value if info.items else "any",
        description=info.description,
        is_personal=info.data_class.is_sealed,
    )


ENVELOPE = tuple(field_of(info) for info in ENVELOPE_FIELDS.values())


class FieldSet:
    """The fields of one event type, or of all types that a pattern names.

    `is_open`: data has fields that nobody described, so any `data.…` path is one, of type `any` and personal (the data
    of unknown types is sealed whole).
    """

    __slots__ = ("_fields", "is_open")

    def __init__(self, fields: Iterable[Field], *, is_open: bool = False) -> None:
        self._fields = {field.path: field for field in (*ENVELOPE, *fields)}
        self.is_open = is_open

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields.values())

    def find(self, path: str) -> Field | None:
        """The field at this path; None if there can be none."""
        field = self._fields.get(path)
        if field is not None or len(path) > MAX_PATH or not PATH.match(path):
            return field
        return self._undescribed(path)

    def find_changed(self, path: str) -> Field | None:
        """The field at this path if only `data.previous` speaks of it: a type may carry old values alone."""
        previous = self._fields.get("data.previous")
        if previous is None or not path.startswith("data.") or not PATH.match(path):
            return None
        return Field(path, "any", is_personal=previous.is_personal)

    def nearest(self, path: str) -> str | None:
        """The path somebody probably meant."""
        near = difflib.get_close_matches(path[:MAX_PATH], self._fields, n=1)
        if near:
            return near[0]
        by_name = {known.rpartition(".")[2]: known for known in self._fields}
        near = difflib.get_close_matches(path[:MAX_PATH].rpartition(".")[2], by_name, n=1, cutoff=0.75)
        return by_name[near[0]] if near else None

    def merged(self, other: FieldSet) -> FieldSet:
        """Fields of either; one that both have with different types is of type `any`."""
        fields = dict(other._fields)
        for path, field in self._fields.items():
            fields[path] = _common(field, fields.get(path, field))
        merged = FieldSet((), is_open=self.is_open or other.is_open)
        merged._fields = fields
        return merged

    def _undescribed(self, path: str) -> Field | None:
        parent = path.rpartition(".")[0]
        while parent:
            field = self._fields.get(parent)
            if field is not None:
                return self._below(field, path)
            parent = parent.rpartition(".")[0]
        return Field(path, "any", is_personal=True) if self.is_open and path.startswith("data.") else None

    def _below(self, field: Field, path: str) -> Field | None:
        is_described = any(known.startswith(f"{field.path}.") for known in self._fields)
        if field.type in ("object", "any") and not is_described:
            return Field(path, "any", is_personal=field.is_personal)
        return None


def _common(one: Field, other: Field) -> Field:
    is_personal = one.is_personal or other.is_personal
    if one.type != other.type:
        return Field(one.path, "any", description=one.description, is_personal=is_personal)
    values = tuple(dict.fromkeys((*one.values, *other.values)))
    item = one.item if one.item == other.item else "any"
    return replace(one, values=values, item=item, is_personal=is_personal)


OPEN = FieldSet((), is_open=True)
"""What is known of an event type that the catalogue does not know."""


@lru_cache(maxsize=256)
def fields_for(pattern: str) -> FieldSet:
    """The fields of events of this type, or of all types that a pattern such as `lead.*` names."""
    sets = [FieldSet(map(field_of, each.fields.values())) for each in catalogue.matching(pattern)]
    return reduce(FieldSet.merged, sets) if sets else OPEN
