"""What the values of each field type look like: in a condition, and in an event.

A `Kind` says how the value of a condition is read at save, which JSON types an event's value may have, and how that
value is made comparable. Folded text ignores case and accents: "São" equals "sao".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from nexus_trigger_processor.domain.fields import FieldType

MAX_TEXT = 1_000
MAX_NUMBER = 10**15

_COMBINING = re.compile("[\u0300-\u036f]+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


class Misfit(ValueError):
    """A value of another kind than the field's; the text says what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """How values of one type are read.

    `noun` completes "expected …". `classes` are the Python types an event's value may have, `read` makes such a value
    comparable (ValueError: it cannot be), `parse` does so with the value of a condition (Misfit: it is none).
    """

    noun: str
    classes: frozenset[type]
    parse: Callable[[object], Any]
    read: Callable[[Any], Any] | None = None

    def misfit(self, value: object) -> Misfit:
        return Misfit(f"expected {self.noun}, got {form(value)}")


def form(value: object) -> str:
    """What a value is, without saying it: it may be personal."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return f"a list of {len(value)}"
        case _:
            return "an object"


def shown(value: object) -> str:
    """A condition's own value, as a message about the condition may quote it."""
    match value:
        case bool() | int() | float():
            return f"{form(value)}: {str(value).lower()}"
        case str():
            return f'the text "{value[:40]}{"…" if len(value) > 40 else ""}"'
        case _:
            return form(value)


@lru_cache(maxsize=16)
def fold(text: str) -> str:
    """The text without case and accents, for comparing as a person would.

    The last few are kept: all triggers of a tenant ask about the same message.
    """
    if text.isascii():
        return text.lower()
    return _COMBINING.sub("", unicodedata.normalize("NFKD", text)).casefold()


def parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise Misfit(f"expected a text, got {shown(value)}")
    if len(value) > MAX_TEXT:
        raise Misfit(f"expected at most {MAX_TEXT} characters, got {len(value)}")
    return value


def parse_number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Misfit(f"expected a number, got {shown(value)}; write it without quotes")
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise Misfit(f"expected a number between -{MAX_NUMBER} and {MAX_NUMBER}")
    return value


def parse_money(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_NUMBER:
        raise Misfit(f"expected an amount in cents (15000 is R$ 150,00), got {shown(value)}")
    return value


def parse_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Misfit(f"expected true or false, got {shown(value)}")
    return value


def parse_date(value: object) -> date:
    try:
        return read_date(parse_text(value))
    except ValueError:
        raise Misfit(f"expected a date such as 2026-11-23, got {shown(value)}") from None


def parse_datetime(value: object) -> datetime:
    try:
        return read_datetime(parse_text(value))
    except ValueError:
        expected = "a date and time with offset such as 2026-11-23T09:00:00-03:00"
        raise Misfit(f"expected {expected}, got {shown(value)}") from None


def parse_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10_000:
        raise Misfit(f"expected a whole number from 0 to 10000, got {shown(value)}")
    return value


def parse_scalar(value: object) -> str | int | float | bool:
    if isinstance(value, bool):
        return value
    return parse_text(value) if isinstance(value, str) else parse_number(value)


def is_date(value: str) -> bool:
    """Whether the text has the form of a date without time."""
    return _DATE.match(value) is not None


def read_date(value: str) -> date:
    try:
        if is_date(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise Misfit("expected a date such as 2026-11-23, got another text")


def read_datetime(value: str | datetime) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Misfit("expected a date and time with offset, got another text")
    return moment


_TEXTS: frozenset[type] = frozenset({str})
_NUMBERS: frozenset[type] = frozenset({int, float})

TEXT = Kind("a text", _TEXTS, parse_text)
FOLDED = Kind("a text", _TEXTS, lambda value: fold(parse_text(value)), fold)
NUMBER = Kind("a number", _NUMBERS, parse_number)
MONEY = Kind("an amount in cents", _NUMBERS, parse_money)
BOOLEAN = Kind("true or false", frozenset({bool}), parse_boolean)
DATE = Kind("a date", _TEXTS, parse_date, read_date)
DATETIME = Kind("a date and time", frozenset({str, datetime}), parse_datetime, read_datetime)
COUNT = Kind("a list", frozenset({list}), parse_count, len)
OBJECT = Kind("an object", frozenset({dict}), parse_scalar)
ANY = Kind("a text or a list", frozenset({str, list}), parse_scalar)

KINDS: Mapping[FieldType, Kind] = {
    "text": TEXT,
    "enum": TEXT,
    "number": NUMBER,
    "money": MONEY,
    "boolean": BOOLEAN,
    "date": DATE,
    "datetime": DATETIME,
    "list": ANY,
    "object": OBJECT,
    "any": ANY,
}


def list_of(item: Kind) -> Kind:
    """Lists whose elements are compared as they stand: the condition's value is an element, or several."""
    return _LISTS[item]


_LISTS = {item: Kind("a list", frozenset({list}), item.parse) for item in {*KINDS.values()}}
