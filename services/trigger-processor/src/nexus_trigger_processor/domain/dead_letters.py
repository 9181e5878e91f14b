"""What a dead message says about itself: whose it is, what it was, and how it died. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from nexus_shared.ids import PLATFORM, TenantId, is_tenant_id
from nexus_shared.topology import EVENTS, INBOUND

MAX_TEXT = 200
MAX_DEATHS = 10

_TENANT_FIRST = frozenset({INBOUND, EVENTS})
"""Exchanges whose routing keys begin with the tenant."""


@dataclass(frozen=True, slots=True)
class Autopsy:
    """Whose message it was (the platform's where that cannot be said), its type, and how it died.

    `queue` is where it died first, `cause` the broker's word for it. `deaths`: [{"queue", "reason", "count", "at"}],
    the last one first.
    """

    tenant_id: TenantId
    queue: str
    cause: str
    type: str | None
    deaths: Sequence[Mapping[str, Any]]


def autopsy(body: bytes, headers: Mapping[str, Any]) -> Autopsy:
    """Never fails, whatever is in it: a dead letter that cannot be filed would be lost."""
    envelopes = _envelopes(body)
    deaths = [_death(entry) for entry in _listed(headers.get("x-death"))[:MAX_DEATHS]]
    return Autopsy(
        tenant_id=_tenant(envelopes, headers),
        queue=printable(headers.get("x-first-death-queue"))
        or (deaths[-1]["queue"] if deaths else "")
        or "unknown",
        cause=printable(headers.get("x-first-death-reason"))
        or (deaths[-1]["reason"] if deaths else "")
        or "unknown",
        type=_only({printable(envelope.get("type")) for envelope in envelopes}),
        deaths=deaths,
    )


def _envelopes(body: bytes) -> list[Mapping[str, Any]]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    return [
        item for item in (document if isinstance(document, list) else [document]) if isinstance(item, dict)
    ]


def _tenant(envelopes: Sequence[Mapping[str, Any]], headers: Mapping[str, Any]) -> TenantId:
    """A frame holds events of many tenants: then it is the platform's."""
    found = _only({printable(envelope.get("tenantid")) for envelope in envelopes})
    if found is None and not envelopes:
        found = _tenant_of_key(headers)
    return TenantId(found) if found and is_tenant_id(found) else PLATFORM


def _tenant_of_key(headers: Mapping[str, Any]) -> str | None:
    for entry in _listed(headers.get("x-death")):
        keys = _listed(entry.get("routing-keys")) if isinstance(entry, dict) else []
        if keys and printable(entry.get("exchange")) in _TENANT_FIRST:
            return printable(keys[0]).partition(".")[0]
    return None


def _death(entry: Any) -> dict[str, Any]:
    given = entry if isinstance(entry, dict) else {}
    at = given.get("time")
    count = given.get("count")
    return {
        "queue": printable(given.get("queue")),
        "reason": printable(given.get("reason")),
        "count": count if isinstance(count, int) and 0 < count < 2**31 else 1,
        "at": at.isoformat() if isinstance(at, datetime) else None,
    }


def _only(values: set[str]) -> str | None:
    """The one value, if it is one."""
    return next(iter(values)) or None if len(values) == 1 else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def printable(value: Any) -> str:
    """A header's or an envelope's text, fit to be stored and shown; empty for anything else."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value[:MAX_TEXT] if character.isprintable())
