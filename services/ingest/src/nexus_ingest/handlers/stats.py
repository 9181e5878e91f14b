"""Statistics of a tenant's log: events per type and interval, what waits, how far behind processing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from nexus_ingest.domain.browsing import Progress
from nexus_ingest.store.events import EventStore
from nexus_ingest.store.progress import ProgressStore
from nexus_ingest.store.tenants import TenantStore
from nexus_shared.errors import Flaw, InputInvalid
from nexus_shared.ids import TenantId

DEFAULT_ZONE = "America/Sao_Paulo"
Interval = Literal["hour", "day"]
USUAL: dict[Interval, timedelta] = {"hour": timedelta(hours=24), "day": timedelta(days=30)}
LONGEST: dict[Interval, timedelta] = {"hour": timedelta(days=31), "day": timedelta(days=400)}
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Count:
    """Events of one type in one interval, which begins at `starts_at`."""

    starts_at: datetime
    type: str
    events: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """`lag_…` is about now: the age of the oldest event that waits for trigger-processor, and its distance to the
    log's end; 0 when none waits. The other numbers are about the time between `since` and `until`."""

    since: datetime
    until: datetime
    tz: str
    counts: list[Count]
    recorded: int
    processed: int
    pending: int
    quarantined: int
    lag_seconds: float
    lag_positions: int


class Stats:
    def __init__(
        self, events: EventStore, tenants: TenantStore, progress: ProgressStore, clock: Callable[[], datetime]
    ) -> None:
        self._events, self._tenants, self._progress, self._clock = events, tenants, progress, clock

    async def of(
        self, tenant_id: TenantId, interval: Interval, since: datetime | None, until: datetime | None
    ) -> Statistics:
        """Whole hours; days are those of the tenant's time zone. Raises InputInvalid for too long a time."""
        zone = await self._zone(tenant_id)
        now = self._clock()
        since, until = _bounds(interval, since, until or now, zone)
        sent, read = await self._progress.read()
        progress = Progress.of(read, sent.lane_positions, sent.position)
        counts = [Count(*row) for row in await self._events.counts(tenant_id, interval, zone, since, until)]
        recorded = sum(count.events for count in counts)
        pending = (await self._events.pending(tenant_id, progress, since, until)).events
        oldest = await self._events.pending(tenant_id, progress, EPOCH, now + timedelta(hours=1))
        return Statistics(
            since=since,
            until=until,
            tz=zone,
            counts=counts,
            recorded=recorded,
            processed=max(0, recorded - pending),
            pending=pending,
            quarantined=await self._events.quarantined(tenant_id, since, until),
            lag_seconds=max(0.0, (now - oldest.recorded_at).total_seconds()) if oldest.recorded_at else 0.0,
            lag_positions=sent.last_position - oldest.position + 1 if oldest.position else 0,
        )

    async def _zone(self, tenant_id: TenantId) -> str:
        tenant = await self._tenants.tenant(tenant_id)
        return str(tenant.settings.get("tz", DEFAULT_ZONE)) if tenant else DEFAULT_ZONE


def _bounds(
    interval: Interval, since: datetime | None, until: datetime, zone: str
) -> tuple[datetime, datetime]:
    until = _hour(until, up=True)
    since = _hour(since or until - USUAL[interval])
    if interval == "day":
        since = _hour(since.astimezone(ZoneInfo(zone)).replace(hour=0))
    if not timedelta() < until - since <= LONGEST[interval]:
        message = f"Expected a time before `until`, at most {LONGEST[interval].days} days before it"
        raise InputInvalid(message, flaws=[Flaw("/from", message, "range")])
    return since, until


def _hour(moment: datetime, *, up: bool = False) -> datetime:
    whole = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return whole + timedelta(hours=1) if up and whole < moment else whole
