"""/v1/decisions: what triggers made of events, also where nothing fired."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, Page
from nexus_trigger_processor.api.inputs import Moment, Word
from nexus_trigger_processor.api.outputs import SentenceOut, sentence_out
from nexus_trigger_processor.handlers.decisions import DecisionFilter, Decisions, DecisionView

OutcomeName = Literal["fired", "not_matched", "suppressed", "deferred", "error"]
Reader = Annotated[Principal, requires(Scope.RUNS_READ)]

_DECISIONS = Cursor[tuple[int, UUID, int]](tuple[int, UUID, int])


class DecisionOut(BaseModel):
    """What one version of a trigger made of one event, and why."""

    outcome: OutcomeName
    reason: str = Field(description="A stable word: condition, loop, too_old, undecidable, template …")
    sentence: SentenceOut | None
    explanation: dict[str, Any] | None = Field(
        description="The clause tree with what was expected and what was there; personal values are masked"
    )
    trigger_id: UUID
    trigger_name: str | None
    version: int
    event_id: str
    source: str
    type: str
    subject: str | None
    position: int
    recorded_at: datetime
    decided_at: datetime
    generation: int = Field(
        description="0, and one more for every time the event was matched anew on purpose"
    )
    run_id: UUID | None


def routes(decisions: Decisions) -> APIRouter:
    router = APIRouter(prefix="/v1/decisions", tags=["decisions"])

    @router.get("", operation_id="listDecisions")
    async def list_decisions(
        who: Reader,
        event_id: Word = None,
        source: Word = None,
        trigger_id: UUID | None = None,
        outcome: Annotated[list[OutcomeName] | None, Query(max_length=5)] = None,
        subject: Word = None,
        since: Moment = None,
        until: Moment = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: CursorText = None,
    ) -> Page[DecisionOut]:
        """Why did this patient get it, or not? Decisions about the newest events first."""
        narrowed = DecisionFilter(event_id, source, trigger_id, outcome or (), subject, since, until)
        rows = await decisions.page(who.tenant_id, narrowed, _DECISIONS.read(cursor), limit + 1)
        page = _DECISIONS.page(rows, limit, _key)
        return Page(items=[decision_out(view) for view in page.items], next_cursor=page.next_cursor)

    return router


def _key(view: DecisionView) -> tuple[int, UUID, int]:
    return view.row.position, view.row.trigger_id, view.row.generation


def decision_out(view: DecisionView) -> DecisionOut:
    row = view.row
    return DecisionOut.model_validate(
        {
            **{name: getattr(row, name) for name in DecisionOut.model_fields if hasattr(row, name)},
            "sentence": sentence_out(view.sentence),
            "explanation": view.explanation,
        }
    )
