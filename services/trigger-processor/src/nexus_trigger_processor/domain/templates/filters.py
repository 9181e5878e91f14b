"""Filters that write values as people in Brazil read them. Each raises ValueError with what it expected instead."""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo
from typing import Any
from urllib.parse import quote_plus

_WEEKDAYS = (
    "segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo",
)  # fmt: skip
_MONTHS = (
    "janeiro", "fevereiro", "março", "abril", "maio", "junho",
    "julho", "agosto", "setembro", "outubro", "novembro", "dezembro",
)  # fmt: skip
_PHONE = re.compile(r"\+55([1-9]\d)(\d{4,5})(\d{4})")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_TITLES = frozenset({"dr", "dra", "sr", "sra", "srta", "prof", "profa"})

DATE_STYLES = ("numeric", "short", "long", "weekday")
TIME_STYLES = ("clock", "h")
STYLES = {"date_br": DATE_STYLES, "time_br": TIME_STYLES}


def date_br(value: object, style: object = "numeric", *, zone: tzinfo) -> str:
    """24/11/2026 · short: 24/11 · long: 24 de novembro de 2026 · weekday: terça-feira, 24 de novembro."""
    day = _day(value, zone)
    match style:
        case "numeric":
            return f"{day:%d/%m/%Y}"
        case "short":
            return f"{day:%d/%m}"
        case "long":
            return f"{day.day} de {_MONTHS[day.month - 1]} de {day.year}"
        case "weekday":
            return f"{_WEEKDAYS[day.weekday()]}, {day.day} de {_MONTHS[day.month - 1]}"
    raise ValueError(f"there is no style '{style}'; use one of {', '.join(DATE_STYLES)}")


def time_br(value: object, style: object = "clock", *, zone: tzinfo) -> str:
    """14:30 · h: 14h30, and 14h on the hour."""
    moment = _moment(value, zone)
    if style == "clock":
        return f"{moment:%H:%M}"
    if style == "h":
        return f"{moment.hour}h{moment:%M}" if moment.minute else f"{moment.hour}h"
    raise ValueError(f"there is no style '{style}'; use one of {', '.join(TIME_STYLES)}")


def weekday_br(value: object, *, zone: tzinfo) -> str:
    """terça-feira"""
    return _WEEKDAYS[_day(value, zone).weekday()]


def money_br(value: object) -> str:
    """R$ 1.234,56 from 123456 cents."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expected an amount in cents, such as 123456")
    reais, cents = divmod(abs(value), 100)
    return f"{'-' if value < 0 else ''}R$ {f'{reais:,}'.replace(',', '.')},{cents:02}"


def first_name(value: object) -> str:
    """Maria from "MARIA DA SILVA" or "Dra. Maria da Silva"; "" from an empty text."""
    words = _text(value).split()
    if len(words) > 1 and words[0].rstrip(".").lower() in _TITLES:
        words = words[1:]
    name = words[0] if words else ""
    return name if not (name.isupper() or name.islower()) else name.title()


def phone_br(value: object) -> str:
    """(11) 98765-4321 from +5511987654321; any other phone stays as it is."""
    text = _text(value)
    match = _PHONE.fullmatch(text)
    return "({}) {}-{}".format(*match.groups()) if match else text


def yes_no_br(value: object) -> str:
    """sim or não"""
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return "sim" if value else "não"


def url_encode(value: object) -> str:
    """The text as a part of a web address, at most 2,000 characters."""
    text = _text(value)
    if len(text) > 2_000:
        raise ValueError("expected at most 2000 characters")
    return quote_plus(text)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("expected a text")


def _day(value: object, zone: tzinfo) -> date:
    if not isinstance(value, str) or len(value) != 10:
        return _moment(value, zone).date()
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a date, such as 2026-11-24") from None


def _moment(value: Any, zone: tzinfo) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (ValueError, TypeError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("expected a date and time with offset, such as 2026-11-24T14:30:00-03:00")
    return moment.astimezone(zone)
