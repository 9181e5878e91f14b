"""What every event's data is made of: the base classes, and fields that say what they hold and whom it concerns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class DataClass(StrEnum):
    """Whom a field concerns. Personal and health data are sealed at the door, the others are stored readable."""

    OPEN = "open"
    PERSONAL = "personal"
    HEALTH = "health"
    FINANCIAL = "financial"

    @property
    def is_sealed(self) -> bool:
        return self in (DataClass.PERSONAL, DataClass.HEALTH)


Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Old data → the same data in the next version. Pure: it may not change what it is given."""


class Part(BaseModel):
    """An object inside event data. Tolerant in: fields it does not know are let through (and sealed).

    Building is deferred: a process pays only for the types it meets.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        defer_build=True,
        validate_by_name=True,
        validate_by_alias=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )


class EventData(Part):
    """The `data` of one event type, in its newest version. Every field has a description and a data class.

    A class that changes so that old data no longer fits says in `upcasters` how to read it: the first turns version 1
    into 2, the next 2 into 3. The number of upcasters makes the version.
    """

    upcasters: ClassVar[tuple[Upcaster, ...]] = ()


def open_field(
    description: str, *, required: bool = False, values: Sequence[str] = (), alias: str | None = None
) -> Any:
    """A field that concerns nobody in particular. `values` are the usual ones; others are accepted too."""
    return _field(DataClass.OPEN, description, required, values, alias)


def personal_field(description: str, *, required: bool = False, values: Sequence[str] = ()) -> Any:
    """A field that tells something about a person: names, phones, free text, proofs. Sealed at the door."""
    return _field(DataClass.PERSONAL, description, required, values)


def health_field(description: str, *, required: bool = False, values: Sequence[str] = ()) -> Any:
    """A field that tells something about a person's health or treatment. Sealed at the door."""
    return _field(DataClass.HEALTH, description, required, values)


def financial_field(description: str, *, required: bool = False, values: Sequence[str] = ()) -> Any:
    """An amount or another fact about money. Stored readable."""
    return _field(DataClass.FINANCIAL, description, required, values)


def _field(
    data_class: DataClass, description: str, required: bool, values: Sequence[str], alias: str | None = None
) -> Any:
    extra: dict[str, Any] = {"x-data-class": data_class.value}
    if values:
        extra["examples"] = list(values)
    default: Any = ... if required else None
    return Field(default, description=description, alias=alias, json_schema_extra=extra)
