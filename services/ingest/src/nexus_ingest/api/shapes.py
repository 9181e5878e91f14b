"""Shapes that several resources of this API share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from nexus_ingest.handlers.recording import Verdict

MAX_POSITION = 2**63 - 1

PRINTABLE = r"^[^\x00-\x1f\x7f]+$"

EventId = Annotated[
    str,
    Path(min_length=1, max_length=200, pattern=PRINTABLE, description="The event's id, as it was published"),
]
Source = Annotated[
    str | None,
    Query(
        max_length=200,
        pattern=PRINTABLE,
        description="The publishing system; needed where several used the same id",
    ),
]
Reveal = Annotated[bool, Query(description="false leaves personal and health data out of the answer")]
TypePattern = Annotated[str, Field(pattern=r"^[a-z0-9_.*]{1,100}$")]


class Input(BaseModel):
    """A body: fields that it does not know are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordedOut(BaseModel):
    """An event with its place in the log."""

    model_config = ConfigDict(from_attributes=True)

    position: int = Field(description="Dense and rising over all tenants: a place, never a count")
    recorded_at: datetime
    status: Literal["processed", "pending"] = Field(description="Whether trigger-processor has read it")
    is_known: bool = Field(description="Whether its type was in the catalogue when it was recorded")
    erased: bool = Field(description="Its personal part was erased; what is left is shown")
    event: dict[str, Any] = Field(
        description="The CloudEvent, with `sequence` (its position) and `recordedtime`",
        examples=[
            {
                "specversion": "1.0",
                "id": "7c9e6679",
                "source": "crm",
                "type": "lead.created",
                "tenantid": "clinica-sul",
                "subject": "lead/L-17",
                "time": "2026-11-23T12:00:00Z",
                "data": {"lead_id": "L-17", "source": "whatsapp"},
                "sequence": "1042",
            }
        ],
    )


class FlawOut(BaseModel):
    pointer: str = Field(examples=["/data/phone"])
    message: str = Field(examples=["Expected a phone in E.164 form, like +5511912345678"])
    code: str = Field(examples=["pattern"])


class ResultOut(BaseModel):
    """What became of one event of the request, in its order."""

    status: Literal["stored", "duplicate", "conflict", "invalid"]
    position: int | None = Field(
        default=None, description="Its place in the log; a duplicate's is the first one's"
    )
    errors: list[FlawOut] | None = None


class ResultsOut(BaseModel):
    results: list[ResultOut]


def result_of(verdict: Verdict) -> dict[str, object]:
    """A ResultOut, as a plain dict: this is the hot path."""
    if verdict.refused is not None:
        return {"status": "invalid", "errors": [flaw.as_dict() for flaw in verdict.refused.flaws]}
    assert verdict.answer is not None
    return {"status": verdict.answer.status, "position": verdict.answer.position}
