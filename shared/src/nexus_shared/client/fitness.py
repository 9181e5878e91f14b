"""Fitness: on the publisher's side the same questions as at the platform's door, so that nothing unfit leaves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from pydantic import ValidationError

from nexus_shared import catalogue, strict_json, wire
from nexus_shared.client.errors import EventInvalid
from nexus_shared.envelope import Event
from nexus_shared.errors import Flaw, InputInvalid


def event_of(attributes: Mapping[str, Any]) -> Event:
    """An event from its attributes. Raises EventInvalid with a flaw per attribute."""
    try:
        return Event.model_validate(attributes)
    except ValidationError:
        pass
    try:
        return wire.envelope(attributes)  # the door's words for what does not fit
    except InputInvalid as error:
        raise EventInvalid(error.flaws) from None


def fit_line(event: Event, *, tenant_id: str, source: str, user: str) -> bytes:
    """The event as JSON, when the door will record it. Raises EventInvalid."""
    line, flaws = inspected(event, tenant_id=tenant_id, source=source, user=user)
    if flaws:
        raise EventInvalid(flaws)
    return line


def inspected(event: Event, *, tenant_id: str, source: str, user: str) -> tuple[bytes, list[Flaw]]:
    """The event as JSON, and what is wrong with it; an unknown type can only be wrong in its form."""
    if event.tenantid != tenant_id:
        message = f"This publisher sends for tenant {tenant_id!r}, not for {event.tenantid!r}"
        return b"", [Flaw("/tenantid", message, "tenant_mismatch")]
    if event.source != source:
        return b"", [Flaw("/source", f"This publisher is {source!r}; make another one for {event.source!r}")]
    if (flaw := strict_json.inspect(event.data).flaw) is not None:
        return b"", [Flaw(f"/data{flaw.pointer}", flaw.message, flaw.code)]
    try:
        document = event.as_dict()
        line = orjson.dumps(document)
    except (TypeError, ValueError) as error:
        message = f"Cannot be written as JSON ({error}); use texts, numbers, lists and objects"
        return b"", [Flaw("/data", message)]
    if (flaw := _not_storable(line)) is not None:
        return b"", [flaw]
    return line, _against_catalogue(event, document["data"], user)


def _not_storable(line: bytes) -> Flaw | None:
    if len(line) > wire.MAX_EVENT_BYTES:
        message = f"{len(line)} bytes; at most {wire.MAX_EVENT_BYTES} are taken: send less, or a link"
        return Flaw("", message, "too_large")
    return strict_json.load(line)[0][0].flaw if b"\\u0000" in line else None


def _against_catalogue(event: Event, data: dict[str, Any], user: str) -> list[Flaw]:
    """`data` is as JSON has it: there a date object is a text."""
    kind = catalogue.find(event.type)
    owners = _owners_of_family(event.type.partition(".")[0]) if kind is None else kind.owners
    if owners and user.removeprefix("svc.") not in owners:
        message = f"{event.type!r} is published by {', '.join(sorted(owners))} only"
        return [Flaw("/type", message, "not_owner")]
    if kind is None or event.schemaversion > kind.version:
        return []
    return kind.problems(kind.upcast(event.schemaversion, data), event.subject)


@cache
def _owners_of_family(name: str) -> frozenset[str]:
    """Who alone may say anything in a family (`automation`) whose known types all have owners."""
    owners = [kind.owners for kind in catalogue.matching(f"{name}.*")]
    return frozenset().union(*owners) if all(owners) else frozenset()
