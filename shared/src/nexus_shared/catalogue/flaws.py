"""What is wrong with an event's data, in words: where, what was expected, what came, what to do.

A value of a personal or health field is never repeated, only described: flaws go into answers, logs and quarantine.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from nexus_shared.catalogue.fields import FieldInfo
from nexus_shared.catalogue.values import Kind
from nexus_shared.errors import Flaw

LIMIT = 20
"""At most so many flaws are named for one event."""

_ECHO = 40
_NUMERIC = (Kind.NUMBER, Kind.MONEY)
_OF_TYPE = ("_type", "iso_time", "iso_date")


def flaws_of(errors: Sequence[ErrorDetails], fields: Mapping[str, FieldInfo], data: object) -> list[Flaw]:
    """One flaw per place, at most `LIMIT`; `fields` are the type's by dotted path."""
    found: dict[str, Flaw] = {}
    for error in errors[: 2 * LIMIT]:  # a place may have several: one for each alternative of its type
        flaw = _flaw(error, fields, data)
        found.setdefault(flaw.pointer, flaw)
    flaws = list(found.values())
    if len(flaws) <= LIMIT and len(errors) <= 2 * LIMIT:
        return flaws
    return [
        *flaws[:LIMIT],
        Flaw("/data", "There are more problems. Correct these first and send the event again."),
    ]


def needs_one_of(names: Sequence[str], data: Mapping[str, Any], known: Iterable[str]) -> Flaw:
    """The data has none of these fields, of which it needs at least one."""
    hint = next(filter(None, (_look_alike(name, data, known) for name in names)), "")
    message = f"Expected at least one of {', '.join(names)}; none is there. Add the one that applies."
    return Flaw("/data", message + hint, "missing")


def subject_is_malformed(subject: str, templates: Sequence[str]) -> Flaw:
    expected = " or ".join(f'"{template}"' for template in templates)
    got = f"text of {_counted(len(subject), 'character')} in another form"
    message = (
        f"Expected a subject like {expected}, got {got}. Correct it, or leave it out: the data fills it in."
    )
    return Flaw("/subject", message, "subject")


def subject_disagrees(expected: str, pointer: str) -> Flaw:
    return Flaw(
        "/subject",
        f'Expected "{_shortened(expected)}" as {pointer} says; the subject names another one. '
        "Make both name the same, or leave the subject out.",
        "subject",
    )


def _flaw(error: ErrorDetails, fields: Mapping[str, FieldInfo], data: object) -> Flaw:
    place, field = _located(error["loc"], fields)
    pointer = "".join(f"/{_escaped(part)}" for part in ("data", *place))
    if error["type"] == "missing":
        return _missing(pointer, place, field, fields, data)
    value = _value_at(data, place)
    if field is None:
        return Flaw(pointer, f"Expected an object, got {_described(value)}. Send the fields by name.", "type")
    is_item = bool(place) and isinstance(place[-1], int)
    kind = field.items if is_item and field.items else field.kind
    expected = field.item_expected if is_item else field.expected
    advice = (
        _advice(value, kind, field)
        if error["type"] != "timezone_aware"
        else "Add the offset, such as -03:00."
    )
    code = "type" if error["type"].endswith(_OF_TYPE) else "value"
    return Flaw(pointer, f"Expected {expected}, got {_got(value, kind, field)}. {advice}", code)


def _missing(
    pointer: str,
    place: Sequence[int | str],
    field: FieldInfo | None,
    fields: Mapping[str, FieldInfo],
    data: object,
) -> Flaw:
    expected = f"Expected {field.expected} ({field.description})" if field else "Expected a value"
    around = _value_at(data, place[:-1])
    hint = ""
    if field is not None and isinstance(around, dict):
        prefix = field.path.rpartition(".")[0] + "."
        siblings = [path[len(prefix) :] for path in fields if path.startswith(prefix)]
        hint = _look_alike(field.name, around, siblings)
    return Flaw(pointer, f"{expected}; it is missing. {hint.strip() or 'Add it.'}", "missing")


def _look_alike(name: str, data: Mapping[str, Any], known: Iterable[str]) -> str:
    """' Did you mean …' where an unknown field is named nearly so, else ''."""
    taken = set(known)
    unknown = {_bare(key): key for key in data if key not in taken and len(key) <= _ECHO}
    near = difflib.get_close_matches(_bare(name), unknown, n=1, cutoff=0.7)
    return f' Did you mean "{unknown[near[0]]}"? Rename it to "{name}".' if near else ""


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _located(
    loc: Sequence[int | str], fields: Mapping[str, FieldInfo]
) -> tuple[tuple[int | str, ...], FieldInfo | None]:
    """The place of an error as far as the catalogue knows it, and the field there."""
    path, place, field = "data", 0, None
    for index, part in enumerate(loc):
        if isinstance(part, str):
            if (longer := f"{path}.{part}") not in fields:
                break
            path = longer
            field = fields[path]
        place = index + 1
    return tuple(loc[:place]), field


def _value_at(data: object, place: Sequence[int | str]) -> object:
    for part in place:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, (list, tuple)) and isinstance(part, int):
            data = data[part]
    return data


def _got(value: object, kind: Kind, field: FieldInfo) -> str:
    """The value as it came where that is short, open and no object in the wrong place; otherwise its description."""
    may_repeat = not field.data_class.is_sealed and kind is not Kind.OBJECT and kind is not Kind.LIST
    if may_repeat and isinstance(value, str | int | float) and not isinstance(value, bool):
        return _echo(value) or _described(value)
    return _described(value)


def _echo(value: str | float) -> str:
    """A short open value as it came, '' for a long or unprintable one."""
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return shown if len(shown) <= _ECHO and shown.isprintable() else ""


def _described(value: object) -> str:
    """A value's type and size, never the value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"text of {_counted(len(value), 'character')}" if value else "empty text"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {_counted(len(value), 'field')}"
    return "something that JSON does not have"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _advice(value: object, kind: Kind, field: FieldInfo) -> str:
    if value is None or value == "":
        return "Give it a value." if field.is_required else "Leave the field out when there is no value."
    if kind in _NUMERIC and isinstance(value, str):
        return "Send a number, without quotes."
    if kind is Kind.MONEY and isinstance(value, float):
        return "Send cents, without a decimal point."
    if kind is Kind.BOOLEAN and isinstance(value, str | int):
        return "Send true or false, without quotes."
    if kind is Kind.TEXT and isinstance(value, int | float):
        return "Send it as text, in quotes."
    return "Correct it." if field.is_required else "Correct it, or leave the field out."


def _shortened(text: str) -> str:
    return text if len(text) <= 2 * _ECHO else text[: 2 * _ECHO] + "…"


def _escaped(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
