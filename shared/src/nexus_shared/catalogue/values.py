"""The kinds of value in event data: each says once what it accepts, for the check, the schema and a flaw's words.

Nothing is coerced silently: `"100"` is no number, `1.5` is no amount of cents, `1764000000` is no time. Texts in
ISO 8601 are of course read as times and dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_CENTS = 9_007_199_254_740_991
"""The largest whole number that every JSON reader keeps exactly."""


class Kind(StrEnum):
    """What a condition may ask of a field."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    DATE = "date"
    LIST = "list"
    OBJECT = "object"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value type means to people: its kind, and the words for "expected …"."""

    kind: Kind
    expected: str


def _iso_time(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise PydanticCustomError("iso_time", "not a date and time in ISO 8601")


def _iso_date(value: object) -> object:
    if isinstance(value, str):
        fits = len(value) == 10 and value[4] == "-"
    else:
        fits = isinstance(value, date) and not isinstance(value, datetime)
    if fits:
        return value
    raise PydanticCustomError("iso_date", "not a date in ISO 8601")


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; not a key at all; the name of a directory
        return False
    return True


def _iana(name: str) -> str:
    if _is_zone(name):
        return name
    raise PydanticCustomError("iana_zone", "not an IANA time zone")


Id = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=180, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Shape(Kind.TEXT, "an id: text of 1 to 180 characters without control characters"),
]
Line = Annotated[str, Field(strict=True, max_length=500), Shape(Kind.TEXT, "text of at most 500 characters")]
Text = Annotated[
    str,
    Field(strict=True, max_length=65_536),
    Shape(Kind.TEXT, "text of at most 65536 characters"),
]
Phone = Annotated[
    str,
    Field(strict=True, pattern=r"^\+[1-9]\d{7,14}$"),
    Shape(Kind.TEXT, "a phone in E.164 form, like +5511912345678"),
]
Email = Annotated[
    str,
    Field(strict=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"),
    Shape(Kind.TEXT, "an e-mail address, like ana@exemplo.com.br"),
]
Url = Annotated[
    str,
    Field(strict=True, max_length=2048, pattern=r"^https?://\S+$"),
    Shape(Kind.TEXT, "a web address that begins with https://"),
]
Zone = Annotated[
    str,
    Field(strict=True, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"),
    AfterValidator(_iana),
    Shape(Kind.TEXT, "an IANA time zone, like America/Sao_Paulo"),
]
Locale = Annotated[
    str,
    Field(strict=True, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"),
    Shape(Kind.TEXT, "a language tag, like pt-BR"),
]
Clock = Annotated[
    str,
    Field(strict=True, pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"),
    Shape(Kind.TEXT, "a time of day, like 08:30"),
]
Number = Annotated[
    float, Field(strict=True, allow_inf_nan=False), Shape(Kind.NUMBER, "a number, like 12 or 1.5")
]
Share = Annotated[
    float,
    Field(strict=True, ge=0, le=1, allow_inf_nan=False),
    Shape(Kind.NUMBER, "a number from 0 to 1, like 0.85"),
]
Count = Annotated[
    int, Field(strict=True, ge=0, le=MAX_CENTS), Shape(Kind.NUMBER, "a whole number from 0 on, like 3")
]
Weekday = Annotated[
    int,
    Field(strict=True, ge=1, le=7),
    Shape(Kind.NUMBER, "a weekday from 1 (Monday) to 7 (Sunday)"),
]
Cents = Annotated[
    int,
    Field(strict=True, ge=0, le=MAX_CENTS),
    Shape(Kind.MONEY, "a whole number of cents, like 12990 for R$ 129,90"),
]
Flag = Annotated[bool, Field(strict=True), Shape(Kind.BOOLEAN, "true or false")]
When = Annotated[
    AwareDatetime,
    BeforeValidator(_iso_time),
    Shape(Kind.DATETIME, "a date and time with offset, like 2026-11-24T09:00:00-03:00"),
]
Day = Annotated[date, BeforeValidator(_iso_date), Shape(Kind.DATE, "a date, like 2026-11-24")]

Item = TypeVar("Item")
ListOf = Annotated[list[Item], Field(fail_fast=True)]
"""A list is refused at its first bad item: naming the faults of 100,000 items would hold up everybody else's events."""
