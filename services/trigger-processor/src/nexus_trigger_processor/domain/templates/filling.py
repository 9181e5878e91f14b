"""Templates in use: checked against an event's fields at save, filled in with an event when an action is due."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import orjson

from nexus_shared.errors import Flaw
from nexus_trigger_processor.domain.conditions import pointer_part
from nexus_trigger_processor.domain.fields import FieldSet, FieldType
from nexus_trigger_processor.domain.templates.filters import STYLES
from nexus_trigger_processor.domain.templates.language import (
    SIGNATURES,
    MissingPolicy,
    RenderFailed,
    zone_of,
)
from nexus_trigger_processor.domain.templates.reading import FilterUse, Lookup, TemplateUnreadable, parse

MAX_DEPTH = 16
MAX_PARTS = 1_000
MAX_RENDERED = 262_144
MAX_FLAWS = 50
"""After so many flaws the rest is not looked at: suggestions cost time."""

CONTEXT: Mapping[str, FieldType] = {
    "id": "text",
    "data": "object",
    "tenant.id": "text",
    "tenant.name": "text",
    "tenant.tz": "text",
    "trigger.id": "text",
    "trigger.name": "text",
    "trigger.version": "number",
    "run.id": "text",
    "action.id": "text",
    "action.key": "text",
}
"""What a template may name besides the event type's fields; the renderer hands it in."""

_NEEDS: Mapping[str, frozenset[FieldType]] = {
    "money_br": frozenset({"money", "number"}),
    "date_br": frozenset({"date", "datetime"}),
    "weekday_br": frozenset({"date", "datetime"}),
    "time_br": frozenset({"datetime"}),
    "first_name": frozenset({"text"}),
    "phone_br": frozenset({"text"}),
    "yes_no_br": frozenset({"boolean"}),
    "join": frozenset({"list"}),
}


def is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


@dataclass(frozen=True, slots=True)
class Template:
    """One text. It is read when first rendered, and the reading is shared by all triggers with the same text."""

    source: str

    def render(self, values: Mapping[str, Any], missing: MissingPolicy = "fail") -> Any:
        """The text, or a lone path's native value. Raises RenderFailed, MissingField."""
        return _rendered(self.source, _Filling(values, missing, zone_of(values)))


def check_template(source: str, fields: FieldSet, at: str = "") -> list[Flaw]:
    """All flaws of one text for events with these fields; messages say line and column."""
    try:
        parsed = parse(source)
    except TemplateUnreadable as reason:
        return [Flaw(at, f"{reason}{_place(source, reason.index)}", "template")]
    problems = (
        *((use.index, _misused(use)) for use in parsed.filters),
        *(
            (each.index, _misplaced(each, fields, is_native=parsed.native is not None))
            for each in parsed.lookups
        ),
    )
    return [
        Flaw(at, f"{message}{_place(source, index)}", "template")
        for index, message in sorted(problems)
        if message
    ]


def _place(source: str, index: int | None) -> str:
    if index is None:
        return ""
    line = source.count("\n", 0, index) + 1
    return f" (line {line}, column {index - source.rfind(chr(10), 0, index)})"


def _misused(use: FilterUse) -> str:
    expected = SIGNATURES.get(use.name)
    if expected is None:
        return (
            f"There is no filter '{use.name}'{_hint(use.name, SIGNATURES)}; there are {', '.join(SIGNATURES)}"
        )
    ours = [option for option in ("zone", "environment") if option in expected.parameters]
    try:
        expected.bind(None, *use.literals, **dict.fromkeys((*use.options, *ours)))
    except TypeError as reason:
        return f"'{use.name}': {reason}"
    styles = STYLES.get(use.name, ())
    style = use.literals[0] if use.literals else None
    if isinstance(style, str) and styles and style not in styles:
        return f"'{use.name}' has no style '{style}'{_hint(style, styles)}; use one of {', '.join(styles)}"
    return ""


def _misplaced(lookup: Lookup, fields: FieldSet, *, is_native: bool) -> str:
    field = fields.find(lookup.path)
    type_ = CONTEXT.get(lookup.path) or (field.type if field else None)
    if type_ is None:
        near = fields.nearest(lookup.path if "." in lookup.path else f"data.{lookup.path}")
        return f"There is no field '{lookup.path}'" + (f"; did you mean '{near}'?" if near else "")
    needs = _NEEDS.get(lookup.filter)
    if needs is not None and type_ not in needs | {"any"}:
        return (
            f"'{lookup.filter}' takes a {' or '.join(sorted(needs))}, and '{lookup.path}' is of type {type_}"
        )
    if lookup.is_written and not is_native and type_ in ("object", "list"):
        remedy = "name one of its fields" if type_ == "object" else 'write it with join: ", "'
        return f"'{lookup.path}' is of type {type_} and cannot stand in a text; {remedy}"
    return ""


def _hint(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


class Parameters:
    """A JSON value whose texts may be templates. Kept as JSON text: small, and every rendering gets its own objects."""

    __slots__ = ("_has_templates", "_json")

    def __init__(self, tree: Any) -> None:
        self._json = orjson.dumps(tree).decode()  # not the bytes: orjson gives them a buffer of 4 KiB
        self._has_templates = is_template(self._json)

    def render(self, values: Mapping[str, Any], missing: MissingPolicy = "fail") -> Any:
        """The JSON value for this event, at most 256 KiB written out. Raises RenderFailed (with the part's pointer)."""
        tree = orjson.loads(self._json)
        if not self._has_templates:
            return tree
        rendered = _filled(tree, _Filling(values, missing, zone_of(values)), "")
        if _size_of(rendered) > MAX_RENDERED:
            raise RenderFailed(f"The parameters came to more than {MAX_RENDERED} bytes")
        return rendered


def _size_of(rendered: Any) -> int:
    try:
        return len(orjson.dumps(rendered))
    except orjson.JSONEncodeError as reason:
        raise RenderFailed(f"The parameters cannot be written as JSON: {reason}") from None


@dataclass(frozen=True, slots=True)
class _Filling:
    values: Mapping[str, Any]
    missing: MissingPolicy
    zone: tzinfo


def compile_parameters(tree: Any) -> Parameters:
    """The parameters, ready to be filled in. They were checked before, by `check_parameters`."""
    return Parameters(tree)


def check_parameters(tree: Any, fields: FieldSet, at: str = "") -> list[Flaw]:
    """All flaws of the templates in a JSON value; `at` prefixes the pointers."""
    flaws: list[Flaw] = []
    for part, (pointer, value) in enumerate(_walk(tree, at, 1)):
        if isinstance(value, dict) and any(is_template(key) for key in value):
            flaws.append(Flaw(pointer, "Names cannot be templates, only values can", "template"))
        if part >= MAX_PARTS:
            return [*flaws, Flaw(at, f"At most {MAX_PARTS} parts", "too_many")]
        if len(flaws) >= MAX_FLAWS:
            break
        if value is _TOO_DEEP:
            flaws.append(Flaw(pointer, f"Parameters can be nested {MAX_DEPTH} deep at most", "too_deep"))
        elif isinstance(value, str) and is_template(value):
            flaws += check_template(value, fields, pointer)
    return flaws


_TOO_DEEP = object()


def _walk(tree: Any, at: str, depth: int) -> Iterator[tuple[str, Any]]:
    children = _children(tree)
    if depth > MAX_DEPTH and children:
        yield at, _TOO_DEEP
        return
    yield at, tree
    for key, child in children:
        yield from _walk(child, f"{at}/{pointer_part(key)}", depth + 1)


def _children(tree: Any) -> list[tuple[object, Any]]:
    if isinstance(tree, dict):
        return list(tree.items())
    return list(enumerate(tree)) if isinstance(tree, list) else []


def _rendered(source: str, filling: _Filling) -> Any:
    try:
        parsed = parse(source)
    except TemplateUnreadable as reason:
        raise RenderFailed(f"The template cannot be read: {reason}") from None
    return parsed.render(filling.values, filling.missing, filling.zone)


def _filled(tree: Any, filling: _Filling, at: str) -> Any:
    if isinstance(tree, str) and is_template(tree):
        try:
            return _rendered(tree, filling)
        except RenderFailed as failed:
            failed.pointer = failed.pointer or at
            raise
    if isinstance(tree, dict):
        return {key: _filled(value, filling, f"{at}/{pointer_part(key)}") for key, value in tree.items()}
    if isinstance(tree, list):
        return [_filled(value, filling, f"{at}/{i}") for i, value in enumerate(tree)]
    return tree
