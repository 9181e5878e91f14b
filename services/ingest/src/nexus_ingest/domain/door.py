"""The door: what a publisher may say, and what an event must look like to be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from nexus_shared import catalogue, wire
from nexus_shared.catalogue import EventType
from nexus_shared.envelope import Event
from nexus_shared.errors import Flaw, InputInvalid
from nexus_shared.ids import PLATFORM, TenantId
from nexus_shared.strict_json import Inspected
from nexus_shared.topology import FACTS_KEY

AHEAD_ALLOWED = timedelta(hours=24)
"""A publisher's clock may run ahead by this much; more is a mistake worth telling."""


class Moment(NamedTuple):
    """The door's clock, read once per batch: an event's time may lie between `oldest` and `latest`."""

    now: datetime
    oldest: datetime
    latest: datetime

    @classmethod
    def at(cls, now: datetime, window: timedelta) -> Moment:
        return cls(now, now - window, now + AHEAD_ALLOWED)


class Publisher(NamedTuple):
    """Who speaks. A system of one tenant, or one of our services (then `tenant_id` is None: any tenant)."""

    name: str
    tenant_id: TenantId | None
    service: str = ""
    may_backfill: bool = False


class Admitted(NamedTuple):
    """An event that will be recorded: its envelope with defaults filled in, and its data cut in two."""

    event: Event
    subject: str | None
    occurred_at: datetime
    correlation_id: str
    is_known: bool
    person: str
    open: Mapping[str, Any]
    sealed: Mapping[str, Any]
    extensions: Mapping[str, Any]


class Refused(InputInvalid):
    """The event cannot be recorded as it is; `reason` is a stable slug."""

    def __init__(self, reason: str, *flaws: Flaw) -> None:
        super().__init__("; ".join(flaw.message for flaw in flaws), flaws=flaws)
        self.reason = reason


def broker_publisher(key: str, user: str) -> Publisher:
    """The publisher of an AMQP message. The broker lets a user write only keys of its own tenant, so the key's first
    word is trustworthy; so is `user_id`, which the broker checks when it is given."""
    if user.startswith("svc."):
        return Publisher(user, None, service=user.removeprefix("svc."))
    return Publisher(user or f"key {key[:80]}", TenantId(key.partition(".")[0]))


def admit(item: Inspected, publisher: Publisher, moment: Moment, key: str = "") -> Admitted:
    """The event, admitted. `key` is the routing key of a single AMQP message. Raises Refused."""
    if item.flaw is not None:
        raise Refused(item.flaw.code, item.flaw)
    try:
        event = wire.envelope(item.value)
    except InputInvalid as error:
        raise Refused("envelope", *error.flaws) from None
    kind = catalogue.find(event.type)
    _check_publisher(event, publisher, key, kind.owners if kind is not None else owners_of(event.type))
    return _cut(event, kind, _occurred_at(event, publisher, moment))


def _check_publisher(event: Event, publisher: Publisher, key: str, owners: frozenset[str]) -> None:
    if publisher.tenant_id is not None and event.tenantid != publisher.tenant_id:
        message = f"This publisher speaks for '{publisher.tenant_id}'; send tenantid '{publisher.tenant_id}'"
        raise Refused("tenant_mismatch", Flaw("/tenantid", message, "tenant_mismatch"))
    if event.tenantid == PLATFORM and not publisher.service:
        raise Refused(
            "tenant_mismatch", Flaw("/tenantid", f"'{PLATFORM}' names the platform itself", "tenant_mismatch")
        )
    if key and key not in (f"{event.tenantid}.{event.type}", FACTS_KEY):
        message = f"The routing key is '{key[:120]}' but the body says '{event.tenantid}.{event.type}'; make them agree"
        raise Refused("key_mismatch", Flaw("/type", message, "key_mismatch"))
    if owners and publisher.service not in owners:
        message = f"'{event.type}' is published by {', '.join(sorted(owners))} only"
        raise Refused("not_owner", Flaw("/type", message, "not_owner"))


@cache
def _owned_families() -> Mapping[str, frozenset[str]]:
    """Families (`automation`) in which every known type has an owner: unknown types of theirs are refused too."""
    families: dict[str, list[frozenset[str]]] = {}
    for name, kind in catalogue.all_types().items():
        families.setdefault(name.partition(".")[0], []).append(kind.owners)
    return {name: frozenset().union(*owners) for name, owners in families.items() if all(owners)}


def owners_of(type: str) -> frozenset[str]:
    """The services that alone may publish this type; empty when any system may."""
    kind = catalogue.find(type)
    return kind.owners if kind is not None else _owned_families().get(type.partition(".")[0], frozenset())


def _occurred_at(event: Event, publisher: Publisher, moment: Moment) -> datetime:
    """In UTC: other zones make every later comparison and conversion slow."""
    if event.time is None:
        return moment.now
    try:
        time = event.time.astimezone(UTC)
    except OverflowError:  # on the calendar's first or last day, where a few hours do not matter
        time = event.time.replace(tzinfo=UTC)
    if time > moment.latest:
        message = "The time lies more than 24 hours in the future; set the publisher's clock"
        raise Refused("time_ahead", Flaw("/time", message, "time_ahead"))
    if time < moment.oldest and not publisher.may_backfill:
        days = (moment.now - moment.oldest).days
        message = (
            f"The time lies more than {days} days back; importing history needs a key with events:backfill"
        )
        raise Refused("too_old", Flaw("/time", message, "too_old"))
    return time


def _cut(event: Event, kind: EventType | None, occurred_at: datetime) -> Admitted:
    subject, data = event.subject, event.data
    is_known = kind is not None and event.schemaversion <= kind.version
    if kind is not None and is_known:
        if event.schemaversion < kind.version:
            data = kind.upcast(event.schemaversion, data)
        if flaws := kind.problems(data, subject):
            raise Refused("schema", *flaws)
        subject = subject or kind.subject_of(data)
        open_part, sealed = kind.split(event.data)
    else:
        open_part, sealed = catalogue.split_unknown(event.data)
    # What our services say of runs and sessions concerns no person: one key of the tenant serves for all of it.
    is_ours = kind is not None and bool(kind.owners)
    person = catalogue.person_of(event.data, subject) or ("" if is_ours else subject or "")
    correlation_id = event.correlationid or event.id
    extensions = event.model_extra or {}
    return Admitted(
        event, subject, occurred_at, correlation_id, is_known, person, open_part, sealed, extensions
    )
