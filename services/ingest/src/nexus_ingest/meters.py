"""What Prometheus learns of ingest. Counted per batch, around the stores, so that the hot path knows nothing of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry

from nexus_ingest.domain.content import Stored
from nexus_ingest.domain.frames import Recorded
from nexus_ingest.domain.tail import Tail
from nexus_ingest.store.log import Answer, LogStore, NewKey, Row
from nexus_ingest.store.quarantine import NewEntry, QuarantineStore
from nexus_shared.database import Database, across_tenants
from nexus_shared.observability.metrics import BATCH, counter, gauge, histogram

STATUSES = ("stored", "duplicate", "conflict")


class Meters:
    """All metrics of this service, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        appended = counter(registry, "events_appended", "Events by what became of them", ("status",))
        self.appended = {status: appended.labels(status) for status in STATUSES}
        self.append_seconds = histogram(registry, "append_seconds", "Duration of one append, commit included")
        self.append_events = histogram(
            registry, "append_batch_events", "Events in one append", buckets=(*BATCH, 1000.0)
        )
        self.quarantined = counter(
            registry, "events_quarantined", "Events that could not be recorded", ("reason",)
        )
        self.tail_events = counter(registry, "tail_events", "Events relayed from memory")
        self.read_events = counter(registry, "log_read_events", "Events read back from the log in order")
        self.relay_lag_events = gauge(
            registry, "relay_lag_events", "Events that a relay has not sent yet", ("relay",)
        )
        self.relay_lag_seconds = gauge(registry, "relay_lag_seconds", "Their age", ("relay",))
        self.unrouted_events = gauge(registry, "unrouted_events", "Messages that no queue took")


class MeteredLog(LogStore):
    def __init__(self, database: Database, writer: str, meters: Meters) -> None:
        super().__init__(database, writer)
        self._meters = meters

    @across_tenants("one append takes a batch of events of many tenants")
    async def append(self, rows: Sequence[Row], new_keys: Sequence[NewKey] = ()) -> list[Answer]:
        started = time.perf_counter()
        answers = await super().append(rows, new_keys)
        self._meters.append_seconds.observe(time.perf_counter() - started)
        self._meters.append_events.observe(len(rows))
        for status, events in Counter([answer.status for answer in answers]).items():
            self._meters.appended[status].inc(events)
        return answers

    @across_tenants("the relay sends the log to our own services")
    async def after(self, position: int, recorded_at: datetime, limit: int) -> list[Stored]:
        rows = await super().after(position, recorded_at, limit)
        self._meters.read_events.inc(len(rows))
        return rows


class MeteredTail(Tail):
    def __init__(self, meters: Meters) -> None:
        super().__init__()
        self._meters = meters

    def after(self, position: int, limit: int) -> list[Recorded]:
        events = super().after(position, limit)
        self._meters.tail_events.inc(len(events))
        return events


class MeteredQuarantine(QuarantineStore):
    def __init__(self, database: Database, meters: Meters) -> None:
        super().__init__(database)
        self._meters = meters

    @across_tenants("one batch holds events of many tenants")
    async def add(self, entries: Sequence[NewEntry]) -> None:
        await super().add(entries)
        for reason, events in Counter([entry.reason for entry in entries]).items():
            self._meters.quarantined.labels(reason).inc(events)
