"""Facts of our own services, on their way to the log: one message carries many, of all tenants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from nexus_shared.database.outbox import OutboxRow
from nexus_shared.envelope import BATCH, Event
from nexus_shared.topology import FACTS_KEY, INBOUND
from nexus_shared.wire import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, batch_body


class Cause(NamedTuple):
    """The event a fact follows from: the story, the loop guard and the trace go on."""

    event_id: str
    correlation_id: str
    hops: int
    traceparent: str | None


def fact_json(
    cause: Cause,
    *,
    id: str,
    source: str,
    type: str,
    tenant_id: str,
    subject: str,
    time: datetime,
    data: Mapping[str, Any],
) -> bytes:
    """A fact of ours as JSON, without the detour over a model: two of them follow every webhook."""
    event = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": type,
        "tenantid": tenant_id,
        "subject": subject,
        "time": time,
        "data": data,
        "correlationid": cause.correlation_id,
        "causationid": cause.event_id,
        "hops": cause.hops + 1,
        "schemaversion": 1,
    }
    if cause.traceparent is not None:
        event["traceparent"] = cause.traceparent
    return orjson.dumps(event)


def fact_messages(events: Sequence[Event | bytes]) -> list[OutboxRow]:
    """Batches of at most 500 events and 4 MiB, since ingest would refuse more.

    The events' ids identify them; a message's own id only tells deliveries apart.
    """
    return [
        OutboxRow(INBOUND, FACTS_KEY, str(uuid4()), BATCH, batch_body(part))
        for part in _parts([event if isinstance(event, bytes) else event.to_json() for event in events])
    ]


def _parts(events: Sequence[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for event in events:
        if part and (len(part) == MAX_BATCH_EVENTS or size + len(event) + 2 > MAX_BATCH_BYTES):
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event) + 1
    if part:
        yield part
