"""Facts of our own services, on their way to the log: one message carries many, of all tenants."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from nexus_shared.database.outbox import OutboxRow
from nexus_shared.envelope import BATCH, Event
from nexus_shared.topology import FACTS_KEY, INBOUND
from nexus_shared.wire import MAX_BATCH_EVENTS, batch_body


def fact_messages(events: Sequence[Event]) -> list[OutboxRow]:
    """Batches of at most 500. The events' ids identify them; a message's own id only tells deliveries apart."""
    return [
        OutboxRow(
            INBOUND,
            FACTS_KEY,
            str(uuid4()),
            BATCH,
            batch_body([event.to_json() for event in events[start : start + MAX_BATCH_EVENTS]]),
        )
        for start in range(0, len(events), MAX_BATCH_EVENTS)
    ]
