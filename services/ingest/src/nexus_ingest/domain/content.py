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


def digest_of(key: bytes, admitted: Admitted) -> bytes:
    """HMAC-SHA256 over the identity and the content that must not change: type, subject, schema version, data."""
    event = admitted.event
    content = [
        event.tenantid,
        event.source,
        event.id,
        event.type,
        admitted.subject,
        event.schemaversion,
        event.data,
        admitted.extensions,
    ]
    return hmac.digest(key, dumps(content), hashlib.sha256)


def sealed_plain(admitted: Admitted) -> bytes | None:
    """What is encrypted: `[sealed data, unknown extension attributes]`; None when there is neither."""
    if not admitted.sealed and not admitted.extensions:
        return None
    return orjson.dumps([admitted.sealed, admitted.extensions])


def outgoing(admitted: Admitted) -> bytes:
    """The event as JSON without its position, which is only known after the append: see `placed`."""
    event = admitted.event
    return _event_json(
        tenant_id=event.tenantid,
        source=event.source,
        event_id=event.id,
        type=event.type,
        schema_version=event.schemaversion,
        subject=admitted.subject,
        occurred_at=admitted.occurred_at,
        correlation_id=admitted.correlation_id,
        causation_id=event.causationid,
        hops=event.hops,
        traceparent=event.traceparent,
        data=event.data,
        extensions=admitted.extensions,
    )


def placed(event_json: bytes, position: int, recorded_at: datetime) -> bytes:
    """The event's JSON with `sequence` (its position) and `recordedtime`."""
    recorded = orjson.dumps(recorded_at, option=_UTC_Z).decode()
    return b'%b,"sequence":"%d","recordedtime":%b}' % (event_json[:-1], position, recorded.encode())


def rejoined(stored: Stored, sealed_plaintext: bytes | None) -> bytes:
    """The same JSON from a row of the log; an erased person's part stays away."""
    sealed, extensions = orjson.loads(sealed_plaintext) if sealed_plaintext else ({}, {})
    body = _event_json(
        tenant_id=stored.tenant_id,
        source=stored.source,
        event_id=stored.event_id,
        type=stored.type,
        schema_version=stored.schema_version,
        subject=stored.subject,
        occurred_at=stored.occurred_at,
        correlation_id=stored.correlation_id,
        causation_id=stored.causation_id,
        hops=stored.hops,
        traceparent=stored.traceparent,
        data=catalogue.join(orjson.loads(stored.data), sealed),
        extensions=extensions,
    )
    return placed(body, stored.position, stored.recorded_at)


def _event_json(
    *,
    tenant_id: str,
    source: str,
    event_id: str,
    type: str,
    schema_version: int,
    subject: str | None,
    occurred_at: datetime,
    correlation_id: str,
    causation_id: str | None,
    hops: int,
    traceparent: str | None,
    data: Mapping[str, Any],
    extensions: Mapping[str, Any],
) -> bytes:
    kind = catalogue.find(type)
    if kind is not None and schema_version < kind.version:
        data, schema_version = kind.upcast(schema_version, dict(data)), kind.version
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": type,
        "tenantid": tenant_id,
        "time": occurred_at,
        "datacontenttype": "application/json",
        "schemaversion": schema_version,
        "correlationid": correlation_id,
        "hops": hops,
        "data": data,
    }
    if subject is not None:
        event["subject"] = subject
    if causation_id is not None:
        event["causationid"] = causation_id
    if traceparent is not None:
        event["traceparent"] = traceparent
    if extensions:
        event = {**extensions, **event}
    return orjson.dumps(event, option=_UTC_Z)
