"""Whose fact it is: the key under which personal data is sealed, budgets are counted and timelines are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_ID = 180

_IDS = (
    ("patient_id", "patient/"),
    ("lead_id", "lead/"),
    ("contact_id", "contact/"),
    ("debtor_contact_id", "contact/"),
)
_PHONES = ("phone", "from_phone", "to_phone")
_PEOPLE = ("patient/", "lead/", "contact/")


def person_of(data: Mapping[str, Any], subject: str | None) -> str | None:
    """ "patient/P-1", "lead/L-17", "contact/C-9" or "phone/+5511…": the first that the data names, else the subject.

    Works on data of any type, known or not. None: the fact concerns nobody. The phone of a WhatsApp session is the
    clinic's own and no contact's.
    """
    for name, prefix in _IDS:
        if name in data:
            key = _key(data[name])
            if key is not None:
                return prefix + key
    if subject is not None and subject.startswith("session/"):
        return None
    phone = _phone(data)
    if phone is not None:
        return "phone/" + phone
    if subject is not None and subject.startswith(_PEOPLE):
        return subject
    return None


def _phone(data: Mapping[str, Any]) -> str | None:
    for name in _PHONES:
        if name in data and (phone := _key(data[name])) is not None:
            return phone
    contact = data.get("contact")
    return _key(contact.get("phone")) if isinstance(contact, dict) else None


def _key(value: object) -> str | None:
    """An id as text; data of unknown types may number its people."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= MAX_ID:
        return value
    return None
