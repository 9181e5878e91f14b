"""The event catalogue: every fact of a clinic's customer life, its data, whom the data concerns, who may say it.

One module per family, one class per type. Importing is cheap: a type's check is built when it is first used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from nexus_shared.catalogue import (
    access,
    activity,
    ai,
    appointment,
    automation,
    contact,
    conversation,
    event,
    integration,
    invoice,
    lead,
    notificame,
    notification,
    patient,
    payment,
    quote,
    referral,
    survey,
    tenant,
    waitlist,
    webhook,
    whatsapp,
    workflow,
)
from nexus_shared.catalogue.base import DataClass, EventData, Part
from nexus_shared.catalogue.event_type import EventType, Family, SchemaVersionUnknown
from nexus_shared.catalogue.fields import ENVELOPE, FieldInfo
from nexus_shared.catalogue.person import person_of
from nexus_shared.catalogue.splitting import join, split_unknown
from nexus_shared.catalogue.values import Kind

FAMILIES: tuple[Family, ...] = (
    lead.family,
    contact.family,
    patient.family,
    appointment.family,
    waitlist.family,
    quote.family,
    invoice.family,
    payment.family,
    whatsapp.family,
    conversation.family,
    survey.family,
    referral.family,
    ai.family,
    automation.family,
    integration.family,
    webhook.family,
    workflow.family,
    activity.family,
    notification.family,
    notificame.family,
    event.family,
    access.family,
    tenant.family,
)

_TYPES: dict[str, EventType] = {each.name: each for family in FAMILIES for each in family.types}


def find(name: str) -> EventType | None:
    """The type of this name; None for one that the catalogue does not know."""
    return _TYPES.get(name)


def all_types() -> Mapping[str, EventType]:
    """All types by name, families and types in the order of the catalogue page."""
    return MappingProxyType(_TYPES)


def matching(pattern: str) -> tuple[EventType, ...]:
    """The types whose name fits: `*` stands for anything, dots included ("lead.*", "*.message.*", "*")."""
    fits = re.compile(".*".join(re.escape(part) for part in pattern.split("*"))).fullmatch
    return tuple(each for name, each in _TYPES.items() if fits(name))


def fields_of(name: str) -> Mapping[str, FieldInfo]:
    """What a condition on events of this type may use, by dotted path; of an unknown type only the envelope."""
    event_type = find(name)
    return event_type.fields if event_type else ENVELOPE


__all__ = [
    "FAMILIES",
    "DataClass",
    "EventData",
    "EventType",
    "Family",
    "FieldInfo",
    "Kind",
    "Part",
    "SchemaVersionUnknown",
    "all_types",
    "fields_of",
    "find",
    "join",
    "matching",
    "person_of",
    "split_unknown",
]
