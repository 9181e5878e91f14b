"""Looking into the log, for its tenant: lists, single events, stories; and asking for an event to be matched again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson

from nexus_ingest.domain.browsing import Filters, Order, Progress, Status
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.events import EventStore, Found
from nexus_ingest.store.progress import ProgressStore
from nexus_shared.envelope import STRUCTURED, Command
from nexus_shared.errors import NexusError
from nexus_shared.ids import TenantId
from nexus_shared.messaging.publisher import Outgoing, Publisher
from nexus_shared.topology import COMMANDS

PROCESS = "trigger_processor.process_event"


class EventNotFound(NexusError):
    """There is no such event in this tenant's log. Look for it in GET /v1/events."""

    status = 404
    slug = "event-not-found"
    title = "There is no such event"

    def __init__(self) -> None:
        super().__init__("There is no such event in this tenant's log. Look for it in GET /v1/events.")


class EventAmbiguous(NexusError):
    """2 systems published an event with this id: crm, site. Say which one: ?source=crm"""

    status = 409
    slug = "event-ambiguous"
    title = "Several events have this id"

    def __init__(self, sources: Sequence[str]) -> None:
        super().__init__(
            f"{len(sources)} systems published an event with this id: {', '.join(sources)}. "
            f"Say which one: ?source={sources[0]}"
        )


class EventErased(NexusError):
    """The event's personal part was erased at the person's request; it cannot be processed again."""

    status = 409
    slug = "event-erased"
    title = "The event's personal part was erased"

    def __init__(self) -> None:
        super().__init__(
            "The event's personal part was erased at the person's request; it cannot be processed again."
        )


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event with its place in the log. `erased`: its personal part is gone for good."""

    position: int
    recorded_at: datetime
    status: Status
    is_known: bool
    erased: bool
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, and the position after which to go on; None at the end. It may be short and yet not the last."""

    items: list[RecordedEvent]
    next_position: int | None


class Events:
    """`reveal=False` leaves personal and health data out of every answer."""

    def __init__(
        self, store: EventStore, progress: ProgressStore, sealer: Sealer, publisher: Publisher
    ) -> None:
        self._store, self._progress, self._sealer, self._publisher = store, progress, sealer, publisher

    async def page(
        self,
        tenant_id: TenantId,
        filters: Filters,
        *,
        after: int | None,
        order: Order,
        limit: int,
        reveal: bool = True,
    ) -> EventPage:
        progress = await self.progress()
        rows = await self._store.page(tenant_id, filters, progress, after=after, order=order, limit=limit + 1)
        found = rows.found[:limit]
        more_after = found[-1].stored.position if len(rows.found) > limit else rows.stopped_at
        return EventPage(await self._opened(found, progress, reveal), more_after)

    async def by_id(
        self, tenant_id: TenantId, event_id: str, source: str | None, *, reveal: bool = True
    ) -> RecordedEvent:
        """Raises EventNotFound, or EventAmbiguous when several systems used this id and `source` is None."""
        found = await self._only(tenant_id, event_id, source)
        return (await self._opened([found], await self.progress(), reveal))[0]

    async def at(self, tenant_id: TenantId, position: int, *, reveal: bool = True) -> RecordedEvent:
        found = await self._store.at(tenant_id, position)
        if found is None:
            raise EventNotFound
        return (await self._opened([found], await self.progress(), reveal))[0]

    async def story(
        self,
        tenant_id: TenantId,
        event_id: str,
        source: str | None,
        *,
        after: int,
        limit: int,
        reveal: bool = True,
    ) -> tuple[str, EventPage]:
        """The correlation id of the event's story, and the story's events in order."""
        correlation_id = (await self._only(tenant_id, event_id, source)).stored.correlation_id
        rows = await self._store.story(tenant_id, correlation_id, after, limit + 1)
        items = await self._opened(rows[:limit], await self.progress(), reveal)
        return correlation_id, EventPage(items, items[-1].position if len(rows) > limit else None)

    async def process(self, tenant_id: TenantId, event_id: str, source: str | None) -> int:
        """Asks trigger-processor to match the event once more; its position. What exists already stays as it is."""
        recorded = await self.by_id(tenant_id, event_id, source)
        if recorded.erased:
            raise EventErased
        command = Command(
            id=str(uuid4()), source="ingest", type=PROCESS, tenantid=tenant_id, data={"event": recorded.event}
        )
        await self._publisher.publish(
            [Outgoing(COMMANDS, PROCESS, command.to_json(), command.id, STRUCTURED)]
        )
        return recorded.position

    async def progress(self) -> Progress:
        """How far trigger-processor is."""
        sent, read = await self._progress.read()
        return Progress.of(read, sent.lane_positions, sent.position)

    async def _only(self, tenant_id: TenantId, event_id: str, source: str | None) -> Found:
        found = await self._store.by_id(tenant_id, event_id, source)
        if not found:
            raise EventNotFound
        sources = sorted({each.stored.source for each in found})
        if len(sources) > 1:
            raise EventAmbiguous(sources)
        return found[0]

    async def _opened(self, found: Sequence[Found], progress: Progress, reveal: bool) -> list[RecordedEvent]:
        rows = [each.stored if reveal else each.stored._replace(sealed=None) for each in found]
        opened = await self._sealer.open(rows)
        return [
            RecordedEvent(
                position=event.position,
                recorded_at=event.recorded_at,
                status=progress.status(event.lane, event.position),
                is_known=each.is_known,
                erased=each.is_erased,
                event=orjson.loads(event.json),
            )
            for each, event in zip(found, opened, strict=True)
        ]
