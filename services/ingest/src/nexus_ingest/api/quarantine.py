"""/v1/quarantine: what came in unfit, why, and what becomes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from nexus_ingest.api.provided import provided
from nexus_ingest.api.shapes import Input, ResultOut, ResultsOut, result_of
from nexus_ingest.handlers.reviewing import Reviewing
from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, Page

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

Reader = Annotated[Principal, requires(Scope.QUARANTINE_READ)]
Writer = Annotated[Principal, requires(Scope.QUARANTINE_WRITE)]
Handler = Annotated[Reviewing, provided(Reviewing)]

PLACES = Cursor[tuple[AwareDatetime, UUID]](tuple[AwareDatetime, UUID])

_OBJECT = {"schema": {"type": "object", "description": "The corrected CloudEvent; none: what was kept"}}
_CORRECTION: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {STRUCTURED: _OBJECT, BATCH: {"schema": {"type": "array", "items": {"type": "object"}}}},
    }
}


class EntryOut(BaseModel):
    """An event that could not be recorded. The same one again only counts up."""

    model_config = ConfigDict(from_attributes=True)

    quarantine_id: UUID
    publisher: str
    source: str | None
    event_id: str | None
    type: str | None
    reason: str = Field(description="Stable name of the reason", examples=["schema"])
    pointer: str = Field(description="Where in the event", examples=["/data/phone"])
    message: str = Field(description="What was expected and what to do")
    status: Literal["open", "recorded", "discarded"]
    occurrences: int
    content_size: int = Field(description="In bytes; the first 65536 are kept")
    content_type: str
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class OpenedEntryOut(EntryOut):
    """With what was kept of it: as text, and as JSON where it is JSON."""

    text: str
    event: Any
    is_complete: bool


class DiscardIn(Input):
    reason: str = Field(min_length=3, max_length=500, examples=["Teste do fornecedor do CRM"])


@router.get("", operation_id="listQuarantine")
async def list_entries(
    who: Reader,
    reviewing: Handler,
    status: Annotated[Literal["open", "recorded", "discarded"] | None, Query()] = None,
    cursor: CursorText = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[EntryOut]:
    """Events that could not be recorded, newest first."""
    rows = await reviewing.page(who.tenant_id, status=status, before=PLACES.read(cursor), limit=limit + 1)
    page = PLACES.page(rows, limit, lambda entry: (entry.first_seen_at, entry.quarantine_id))
    return Page(items=[EntryOut.model_validate(entry) for entry in page.items], next_cursor=page.next_cursor)


@router.get("/{quarantine_id}", operation_id="showQuarantineEntry")
async def show(who: Reader, reviewing: Handler, quarantine_id: UUID) -> OpenedEntryOut:
    """One entry with its content."""
    opened = await reviewing.entry(who.tenant_id, quarantine_id)
    return OpenedEntryOut(
        **opened.entry._asdict(), text=opened.text, event=opened.event, is_complete=opened.is_complete
    )


@router.post("/{quarantine_id}/record", operation_id="recordQuarantineEntry", openapi_extra=_CORRECTION)
async def record(request: Request, who: Writer, reviewing: Handler, quarantine_id: UUID) -> ResultsOut:
    """Records the corrected event of the body; without a body what was kept, now that it may fit.

    The entry stays open while the event does not fit: 422 says why.
    """
    verdicts = await reviewing.record(who, quarantine_id, await request.body())
    return ResultsOut(results=[ResultOut.model_validate(result_of(verdict)) for verdict in verdicts])


@router.post("/{quarantine_id}/discard", status_code=204, operation_id="discardQuarantineEntry")
async def discard(who: Writer, reviewing: Handler, quarantine_id: UUID, wanted: DiscardIn) -> None:
    """Settles an entry without recording it; it stays listed with the reason."""
    await reviewing.discard(who, quarantine_id, wanted.reason)
