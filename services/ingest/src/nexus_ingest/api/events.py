"""/v1/events: looking into the tenant's log, and what can be asked of a recorded event."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from nexus_ingest.api.provided import provided
from nexus_ingest.api.shapes import (
    MAX_POSITION,
    PRINTABLE,
    EventId,
    Input,
    RecordedOut,
    Reveal,
    Source,
    TypePattern,
)
from nexus_ingest.domain.browsing import Filters, Order, Status
from nexus_ingest.handlers.events import EventPage, Events
from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.http.pagination import (
    DEFAULT_LIMIT,
    MAX_CURSOR_CHARS,
    MAX_LIMIT,
    Cursor,
    CursorText,
    Limit,
    Page,
)

# `{event_id:path}`: an id may hold slashes. The static paths of this prefix are routed before these.
router = APIRouter(prefix="/v1/events", tags=["events"])

Reader = Annotated[Principal, requires(Scope.EVENTS_READ)]
Writer = Annotated[Principal, requires(Scope.EVENTS_WRITE)]
Handler = Annotated[Events, provided(Events)]

POSITIONS = Cursor[int](int)


class Listing(Input):
    """Which events of the log, and how."""

    type: list[TypePattern] = Field(
        default=[],
        max_length=20,
        description="Types, `*` standing for anything: lead.*",
        examples=[["lead.*"]],
    )
    subject: str | None = Field(default=None, max_length=200, pattern=PRINTABLE, examples=["lead/L-17"])
    correlation_id: str | None = Field(default=None, max_length=200, pattern=PRINTABLE)
    since: AwareDatetime | None = Field(
        default=None, alias="from", description="Recorded at this time or later"
    )
    until: AwareDatetime | None = Field(default=None, description="Recorded before this time")
    text: str | None = Field(
        default=None,
        min_length=2,
        max_length=100,
        pattern=PRINTABLE,
        description="Stands in the open data: names, phones and other sealed data are not searched",
    )
    status: Status | None = None
    is_known: bool | None = None
    order: Order = Field(default="desc", description="desc: newest first")
    reveal: bool = Field(default=True, description="false leaves personal and health data out of the answer")
    cursor: str | None = Field(
        default=None, max_length=MAX_CURSOR_CHARS, description="`next_cursor` of the page before"
    )
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)

    def filters(self) -> Filters:
        return Filters(
            types=tuple(self.type),
            subject=self.subject,
            correlation_id=self.correlation_id,
            since=self.since,
            until=self.until,
            text=self.text,
            status=self.status,
            is_known=self.is_known,
        )


class StoryOut(Page[RecordedOut]):
    """The events of one story, in order."""

    correlation_id: str


class AcceptedOut(BaseModel):
    """The event will be matched again."""

    position: int


@router.get("", operation_id="listEvents")
async def list_events(who: Reader, events: Handler, wanted: Annotated[Listing, Query()]) -> Page[RecordedOut]:
    """Recorded events, newest first.

    A page looks at 20,000 events at most. Where few of them fit it is short, or even empty, and `next_cursor` goes on.
    """
    page = await events.page(
        who.tenant_id,
        wanted.filters(),
        after=POSITIONS.read(wanted.cursor),
        order=wanted.order,
        limit=wanted.limit,
        reveal=wanted.reveal,
    )
    return Page(items=_items(page), next_cursor=_next(page))


@router.get("/at/{position}", operation_id="showEventAt")
async def show_at(
    who: Reader, events: Handler, position: Annotated[int, Path(ge=1, le=MAX_POSITION)], reveal: Reveal = True
) -> RecordedOut:
    """The event at a position of the log."""
    return RecordedOut.model_validate(await events.at(who.tenant_id, position, reveal=reveal))


@router.get("/{event_id:path}/story", operation_id="showStory")
async def show_story(
    who: Reader,
    events: Handler,
    event_id: EventId,
    source: Source = None,
    reveal: Reveal = True,
    cursor: CursorText = None,
    limit: Limit = DEFAULT_LIMIT,
) -> StoryOut:
    """All events of the story that this event belongs to, in order."""
    after = POSITIONS.read(cursor) or 0
    correlation_id, page = await events.story(
        who.tenant_id, event_id, source, after=after, limit=limit, reveal=reveal
    )
    return StoryOut(correlation_id=correlation_id, items=_items(page), next_cursor=_next(page))


@router.post("/{event_id:path}/process", status_code=202, operation_id="processEvent")
async def process(who: Writer, events: Handler, event_id: EventId, source: Source = None) -> AcceptedOut:
    """Has the event matched against the triggers once more. Runs that exist stay; only what is missing is created."""
    return AcceptedOut(position=await events.process(who.tenant_id, event_id, source))


@router.get("/{event_id:path}", operation_id="showEvent")
async def show(
    who: Reader, events: Handler, event_id: EventId, source: Source = None, reveal: Reveal = True
) -> RecordedOut:
    """One event, whole. Where several systems used the id: 409, and `source` chooses."""
    return RecordedOut.model_validate(await events.by_id(who.tenant_id, event_id, source, reveal=reveal))


def _items(page: EventPage) -> list[RecordedOut]:
    return [RecordedOut.model_validate(item) for item in page.items]


def _next(page: EventPage) -> str | None:
    return POSITIONS.write(page.next_position) if page.next_position is not None else None
