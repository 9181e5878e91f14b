"""/v1/dead-letters: messages that were given up, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, Page
from nexus_trigger_processor.api.inputs import Given, Reveal, Word
from nexus_trigger_processor.handlers.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    DeadLetters,
    DeadLetterView,
)

Status = Literal["open", "redriven", "discarded"]
Reader = Annotated[Principal, requires(Scope.RUNS_READ)]
Writer = Annotated[Principal, requires(Scope.RUNS_WRITE)]

_DEAD_LETTERS = Cursor[tuple[AwareDatetime, UUID]](tuple[AwareDatetime, UUID])


class DeadLetterSummary(BaseModel):
    """A message that was given up."""

    id: UUID
    tenant_id: str
    service: str = Field(description="Whose queue it died in")
    queue: str
    message_id: str
    type: str | None = Field(description="What it says it is, where that can be read")
    cause: str = Field(description="The broker's word: rejected, delivery_limit, expired, maxlen")
    status: Status
    created_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    note: str | None


class DeadLetterOut(DeadLetterSummary):
    deaths: list[dict[str, Any]] = Field(
        description="Queue, reason, count and time of each, the last one first"
    )
    content_type: str
    content: str | None = Field(description="The message, at most 64 KiB of it; only when revealed")


class CauseOut(BaseModel):
    """Open dead letters that died alike."""

    service: str
    queue: str
    type: str | None
    cause: str
    number: int
    oldest_at: datetime
    newest_at: datetime


class Causes(BaseModel):
    items: list[CauseOut]


class Discard(Given):
    reason: Annotated[
        str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$", strip_whitespace=True)
    ]


def routes(dead_letters: DeadLetters) -> APIRouter:
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])
    _listing(router, dead_letters)
    _dealing(router, dead_letters)
    return router


def _listing(router: APIRouter, dead_letters: DeadLetters) -> None:
    @router.get("", operation_id="listDeadLetters")
    async def list_dead_letters(
        who: Reader,
        status: Status | None = None,
        service: Word = None,
        queue: Word = None,
        type: Word = None,
        cause: Word = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: CursorText = None,
    ) -> Page[DeadLetterSummary]:
        """Newest first; a tenant's key sees the tenant's, the platform's sees all."""
        narrowed = DeadLetterFilter(status, service, queue, type, cause)
        rows = await dead_letters.page(who, narrowed, _DEAD_LETTERS.read(cursor), limit + 1)
        page = _DEAD_LETTERS.page(rows, limit, lambda row: (row.created_at, row.dead_letter_id))
        items = [DeadLetterSummary(**_summary(row)) for row in page.items]
        return Page(items=items, next_cursor=page.next_cursor)

    @router.get("/causes", operation_id="listDeadLetterCauses")
    async def causes(who: Reader) -> Causes:
        """Open ones counted by service, queue, type and cause, the most frequent first."""
        return Causes(items=[CauseOut(**cause._asdict()) for cause in await dead_letters.causes(who)])


def _dealing(router: APIRouter, dead_letters: DeadLetters) -> None:
    @router.get("/{dead_letter_id}", operation_id="getDeadLetter")
    async def get(dead_letter_id: UUID, who: Reader, reveal: Reveal = False) -> DeadLetterOut:
        """How it died; with `reveal` what it said."""
        if reveal:
            who.require(Scope.RUNS_WRITE)
        return _shown(await dead_letters.find(who, dead_letter_id, reveal=reveal))

    @router.post("/{dead_letter_id}/discard", operation_id="discardDeadLetter")
    async def discard(dead_letter_id: UUID, who: Writer, why: Discard) -> DeadLetterOut:
        """Nothing more is to be done about it; it stays readable, with the reason."""
        return _shown(await dead_letters.discard(who, dead_letter_id, why.reason))


def _summary(row: DeadLetter) -> dict[str, Any]:
    return {"id": row.dead_letter_id, **row._asdict()}


def _shown(view: DeadLetterView) -> DeadLetterOut:
    row = view.row
    return DeadLetterOut.model_validate(
        {**_summary(row), "deaths": orjson.loads(row.deaths), "content": view.content}
    )
