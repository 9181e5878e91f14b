"""Facts of our own services, on their way to the log: one message carries many, of all tenants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

from nexus_shared.database.outbox import OutboxRow
from nexus_shared.envelope import BATCH, Event
from nexus_shared.topology import FACTS_KEY, INBOUND
from nexus_shared.wire import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, batch_body


def fact_messages(events: Sequence[Event]) -> list[OutboxRow]:
    """Batches of at most 500 events and 4 MiB, since ingest would refuse more.

    The events' ids identify them; a message's own id only tells deliveries apart.
    """
    return [
        OutboxRow(INBOUND, FACTS_KEY, str(uuid4()), BATCH, batch_body(part))
        for part in _parts([event.to_json() for event in events])
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
