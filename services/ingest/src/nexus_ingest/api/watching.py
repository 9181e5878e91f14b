"""/v1/events/stats and /v1/events/stream: the log in numbers, and as it grows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse

from nexus_ingest.api.provided import provided
from nexus_ingest.api.shapes import MAX_POSITION, PRINTABLE, TypePattern
from nexus_ingest.domain.frames import Recorded
from nexus_ingest.handlers.feed import Feed
from nexus_ingest.handlers.stats import Stats
from nexus_shared.access.dependencies import authorise, requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.errors import NexusError
from nexus_shared.http.sse import LastPosition, Update, live

router = APIRouter(prefix="/v1/events", tags=["events"])

Reader = Annotated[Principal, requires(Scope.EVENTS_READ)]
RECORDED = "event.recorded"


class CountOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    starts_at: datetime
    type: str
    events: int


class StatisticsOut(BaseModel):
    """Counts of the time between `from` and `until` (whole hours); the lag is that of now."""

    model_config = ConfigDict(from_attributes=True, serialize_by_alias=True)

    since: datetime = Field(serialization_alias="from")
    until: datetime
    tz: str = Field(description="The tenant's time zone, in which days begin", examples=["America/Sao_Paulo"])
    counts: list[CountOut]
    recorded: int
    processed: int
    pending: int
    quarantined: int = Field(description="Events that came in this time and wait in quarantine")
    lag_seconds: float = Field(
        description="Age of the oldest event that waits for trigger-processor; 0: none waits"
    )
    lag_positions: int = Field(description="Its distance to the log's end, counted over all tenants")


@router.get("/stats", operation_id="showEventStats")
async def show_stats(
    who: Reader,
    stats: Annotated[Stats, provided(Stats)],
    interval: Literal["hour", "day"] = "hour",
    since: Annotated[
        AwareDatetime | None, Query(alias="from", description="24 hours, or 30 days, if absent")
    ] = None,
    until: Annotated[AwareDatetime | None, Query(description="Now, if absent")] = None,
) -> StatisticsOut:
    """Events per type and hour or day, what is processed and what waits, and how far behind processing is."""
    return StatisticsOut.model_validate(await stats.of(who.tenant_id, interval, since, until))


@router.get("/stream", operation_id="streamEvents", response_class=EventSourceResponse)
async def stream(
    request: Request,
    who: Reader,
    feed: Annotated[Feed, provided(Feed)],
    type: Annotated[
        list[TypePattern] | None, Query(description="Types, `*` standing for anything: lead.*")
    ] = None,
    subject: Annotated[str | None, Query(max_length=200, pattern=PRINTABLE)] = None,
    after: Annotated[
        int | None, Query(ge=0, le=MAX_POSITION, description="Begin after this position")
    ] = None,
    last: LastPosition = None,
) -> EventSourceResponse:
    """Events as they are recorded, by server-sent events: `id` is the position, `data` the CloudEvent.

    A client that reconnects with Last-Event-ID misses nothing. One that reads too slowly is let go, to do just that.
    """
    feed.require_room(who.tenant_id)
    events = feed.events(
        who.tenant_id,
        types=type or (),
        subject=subject,
        after=after if last is None else last,
        is_allowed=lambda: _is_allowed(request),
    )
    return live(request, _updates(events))


def _is_allowed(request: Request) -> bool:
    """Keys are taken back, and expire, while somebody listens."""
    try:
        authorise(request, Scope.EVENTS_READ)
    except NexusError:
        return False
    return True


async def _updates(events: AsyncGenerator[Recorded, None]) -> AsyncGenerator[Update, None]:
    async with aclosing(events):
        async for event in events:
            yield Update(str(event.position), RECORDED, event.json.decode())
