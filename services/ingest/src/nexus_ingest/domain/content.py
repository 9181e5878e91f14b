"""An event's content: as one digest, as the JSON that goes out, and joined again from what the log holds."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from nexus_ingest.domain.door import Admitted
from nexus_shared import catalogue
from nexus_shared.strict_json import dumps

_UTC_Z = orjson.OPT_UTC_Z


class Stored(NamedTuple):
    """A row of the log, and the person's key opened if it was needed and still exists."""

    position: int
    recorded_at: datetime
    lane: int
    tenant_id: str
    source: str
    event_id: str
    type: str
    schema_version: int
    subject: str | None
    occurred_at: datetime
    correlation_id: str
    causation_id: str | None
    hops: int
    traceparent: str | None
    data: str
    sealed: bytes | None
    key_id: Any
    digest: bytes


def canonical(admitted: Admitted) -> bytes:
    """The identity and the content that must not change, as sorted JSON: one object that `outgoing` only adds to."""
    event = admitted.event
    identity = (event.tenantid, event.source, event.id)
    return _canonical(
        identity, event.type, event.schemaversion, admitted.subject, event.data, admitted.extensions
    )


def canonical_again(stored: Stored, sealed_plaintext: bytes | None) -> bytes:
    """The same bytes from a row of the log, for checking its digest; not for an erased person's events."""
    data, extensions = _whole(stored, sealed_plaintext)
    identity = (stored.tenant_id, stored.source, stored.event_id)
    return _canonical(identity, stored.type, stored.schema_version, stored.subject, data, extensions)


def digest_of(key: bytes, canonical_json: bytes) -> bytes:
    """HMAC-SHA256, 32 bytes: the same for the same content, and useless for guessing contents without the key."""
    return hmac.digest(key, canonical_json, hashlib.sha256)


def sealed_plain(admitted: Admitted) -> bytes | None:
    """What is encrypted: `[sealed data, unknown extension attributes]`; None when there is neither."""
    if not admitted.sealed and not admitted.extensions:
        return None
    return orjson.dumps([admitted.sealed, admitted.extensions])


def outgoing(admitted: Admitted, canonical_json: bytes) -> bytes:
    """The event as JSON without its position, which is only known after the append: see `placed`."""
    event = admitted.event
    kind = catalogue.find(event.type)
    if kind is not None and event.schemaversion < kind.version:
        upcast = kind.upcast(event.schemaversion, event.data)
        content = {**orjson.loads(canonical_json), "data": upcast, "schemaversion": kind.version}
        canonical_json = dumps(content)
    context = _context(
        admitted.occurred_at, admitted.correlation_id, event.causationid, event.hops, event.traceparent
    )
    return b"%b,%b" % (canonical_json[:-1], context[1:])


def placed(event_json: bytes, position: int, recorded_at: datetime) -> bytes:
    """The event's JSON with `sequence` (its position) and `recordedtime`."""
    recorded = orjson.dumps(recorded_at, option=_UTC_Z).decode()
    return b'%b,"sequence":"%d","recordedtime":%b}' % (event_json[:-1], position, recorded.encode())


def rejoined(stored: Stored, sealed_plaintext: bytes | None) -> bytes:
    """The event's JSON from a row of the log; an erased person's part stays away."""
    data, extensions = _whole(stored, sealed_plaintext)
    version = stored.schema_version
    kind = catalogue.find(stored.type)
    if kind is not None and version < kind.version:
        data, version = kind.upcast(version, data), kind.version
    identity = (stored.tenant_id, stored.source, stored.event_id)
    content = _canonical(identity, stored.type, version, stored.subject, data, extensions)
    context = _context(
        stored.occurred_at, stored.correlation_id, stored.causation_id, stored.hops, stored.traceparent
    )
    return placed(b"%b,%b" % (content[:-1], context[1:]), stored.position, stored.recorded_at)


def _whole(stored: Stored, sealed_plaintext: bytes | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data and unknown extension attributes as they came."""
    sealed, extensions = orjson.loads(sealed_plaintext) if sealed_plaintext else ({}, {})
    return catalogue.join(orjson.loads(stored.data), sealed), extensions


def _canonical(
    identity: tuple[str, str, str],
    type: str,
    schema_version: int,
    subject: str | None,
    data: Mapping[str, Any],
    extensions: Mapping[str, Any],
) -> bytes:
    tenant_id, source, event_id = identity
    content: dict[str, Any] = {
        "data": data,
        "id": event_id,
        "schemaversion": schema_version,
        "source": source,
        "tenantid": tenant_id,
        "type": type,
    }
    if subject is not None:
        content["subject"] = subject
    if extensions:
        content = {**extensions, **content}
    return dumps(content)


def _context(
    occurred_at: datetime, correlation_id: str, causation_id: str | None, hops: int, traceparent: str | None
) -> bytes:
    """The attributes that are not content: when, and in which story."""
    context: dict[str, Any] = {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "time": occurred_at,
        "correlationid": correlation_id,
        "hops": hops,
    }
    if causation_id is not None:
        context["causationid"] = causation_id
    if traceparent is not None:
        context["traceparent"] = traceparent
    return orjson.dumps(context, option=_UTC_Z)
