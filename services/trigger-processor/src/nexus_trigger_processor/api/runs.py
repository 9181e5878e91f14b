"""/v1/runs: what became of what triggers did, and taking a hand in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, Page
from nexus_trigger_processor.api.decisions import DecisionOut, decision_out
from nexus_trigger_processor.api.inputs import NO_REASON, Moment, Reveal, Why, Word
from nexus_trigger_processor.handlers.runs import (
    ActionView,
    Changed,
    Fate,
    Interventions,
    RunFilter,
    Runs,
    RunView,
    Trace,
)

RunStatus = Literal["running", "succeeded", "failed", "partial", "cancelled"]
Reader = Annotated[Principal, requires(Scope.RUNS_READ)]
Writer = Annotated[Principal, requires(Scope.RUNS_WRITE)]

SAME_ID = "Requests keep their webhook-id, so a receiver that already has one can tell and ignore it."

_RUNS = Cursor[tuple[int, UUID]](tuple[int, UUID])


class TriggerRef(BaseModel):
    id: UUID
    name: str | None
    version: int = Field(description="The version that decided; it never changes")


class EventRef(BaseModel):
    """The event's identity and place; its data is read from the Events API."""

    id: str
    source: str
    type: str
    subject: str | None
    position: int
    recorded_at: datetime
    correlation_id: str
    hops: int


class RunSummary(BaseModel):
    """A run in a list."""

    id: UUID
    status: RunStatus
    trigger: TriggerRef
    event: EventRef
    open_actions: int
    failed_actions: int = Field(description="Ended without success: failed, unknown or cancelled")
    created_at: datetime
    finished_at: datetime | None
    cancelled_by: str | None
    cancel_reason: str | None


class ActionOut(BaseModel):
    """One step of a run. `id` is the idempotency key and webhook-id of every attempt."""

    id: UUID
    key: str
    kind: str
    target: str
    status: Literal[
        "waiting", "queued", "retrying", "succeeded", "failed", "unknown", "cancelled", "suppressed"
    ]
    attempts: int
    max_attempts: int
    error_class: str | None
    created_at: datetime
    finished_at: datetime | None
    next_attempt_at: datetime | None = Field(description="While it waits for its next attempt")
    in_flight: bool = Field(description="Whether a request is out this moment")


class AttemptOut(BaseModel):
    """One try. Without `finished_at` it is running, or its worker died."""

    attempt: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    code: str | None
    http_status: int | None
    latency_ms: int | None
    response: str | None = Field(description="The beginning of the answer; masked unless revealed")


class TracedAction(ActionOut):
    tries: list[AttemptOut]


class RunOut(RunSummary):
    actions: list[ActionOut]


class TraceOut(RunSummary):
    """All there is to know about a run."""

    decision: DecisionOut | None
    actions: list[TracedAction]


class FateOut(BaseModel):
    """What was done to one action."""

    action_id: UUID
    key: str
    target: str
    fate: Fate
    status: str
    webhook_id: UUID = Field(description="The same as in every attempt before")


class ChangedOut(BaseModel):
    run: RunSummary
    actions: list[FateOut]
    note: str


def routes(runs: Runs, interventions: Interventions) -> APIRouter:
    router = APIRouter(prefix="/v1/runs", tags=["runs"])
    _listing(router, runs)
    _showing(router, runs)
    _intervening(router, interventions)
    return router


def _listing(router: APIRouter, runs: Runs) -> None:
    @router.get("", operation_id="listRuns")
    async def list_runs(
        who: Reader,
        trigger_id: UUID | None = None,
        status: Annotated[list[RunStatus] | None, Query(max_length=5)] = None,
        event_id: Word = None,
        source: Word = None,
        subject: Word = None,
        since: Moment = None,
        until: Moment = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: CursorText = None,
    ) -> Page[RunSummary]:
        """Runs of the newest events first; `since` and `until` are about when the event was recorded."""
        narrowed = RunFilter(trigger_id, status or (), event_id, source, subject, since, until)
        rows = await runs.page(who.tenant_id, narrowed, _RUNS.read(cursor), limit + 1)
        page = _RUNS.page(rows, limit, lambda run: (run.position, run.run_id))
        return Page(items=[RunSummary(**_run(run)) for run in page.items], next_cursor=page.next_cursor)


def _showing(router: APIRouter, runs: Runs) -> None:
    @router.get("/{run_id}", operation_id="getRun")
    async def get(run_id: UUID, who: Reader) -> RunOut:
        """A run with its actions as they are now."""
        view: RunView = await runs.find(who.tenant_id, run_id)
        return RunOut(**_run(view.run), actions=[ActionOut(**_action(action)) for action in view.actions])

    @router.get("/{run_id}/trace", operation_id="traceRun")
    async def trace(run_id: UUID, who: Reader, reveal: Reveal = False) -> TraceOut:
        """Why it ran, clause by clause, and every action with every attempt. Personal values are masked."""
        if reveal:
            who.require(Scope.RUNS_WRITE)
        return _trace(await runs.trace(who, run_id, reveal=reveal))


def _intervening(router: APIRouter, interventions: Interventions) -> None:
    @router.post("/{run_id}/cancel", operation_id="cancelRun")
    async def cancel(run_id: UUID, who: Writer, why: Why = NO_REASON) -> ChangedOut:
        """Takes back what waits for its next attempt. What is being sent this moment cannot be called back."""
        changed = await interventions.cancel(who, run_id, why.reason)
        return _changed(changed, "What is in flight ends first; cancel again if it is to be tried no more.")

    @router.post("/{run_id}/redrive", operation_id="redriveRun")
    async def redrive(run_id: UUID, who: Writer) -> ChangedOut:
        """Sends once more what failed or has an unknown outcome, now, under the same webhook-id."""
        return _changed(await interventions.redrive(who, run_id), SAME_ID)


def _run(run: Any) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "status": run.status,
        "trigger": TriggerRef(id=run.trigger_id, name=run.trigger_name, version=run.version),
        "event": EventRef(
            id=run.event_id,
            source=run.source,
            type=run.type,
            subject=run.subject,
            position=run.position,
            recorded_at=run.recorded_at,
            correlation_id=run.correlation_id,
            hops=run.hops,
        ),
        "open_actions": run.open_actions,
        "failed_actions": run.failed_actions,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "cancelled_by": run.cancelled_by,
        "cancel_reason": run.cancel_reason,
    }


def _action(action: Any) -> dict[str, Any]:
    return {
        "id": action.action_id,
        "key": action.step,
        "kind": action.kind,
        "target": action.target,
        "status": action.status,
        "attempts": action.attempts,
        "max_attempts": action.max_attempts,
        "error_class": action.error_class,
        "created_at": action.created_at,
        "finished_at": action.finished_at,
        "next_attempt_at": action.next_attempt_at,
        "in_flight": action.is_in_flight,
    }


def _trace(trace: Trace) -> TraceOut:
    return TraceOut(
        **_run(trace.run),
        decision=decision_out(trace.decision) if trace.decision else None,
        actions=_traced(trace.actions),
    )


def _traced(views: Sequence[ActionView]) -> list[TracedAction]:
    return [
        TracedAction(**_action(view.row), tries=[_attempt(attempt) for attempt in view.attempts])
        for view in views
    ]


def _attempt(view: Any) -> AttemptOut:
    row = view.row
    return AttemptOut(
        attempt=row.attempt,
        started_at=row.started_at,
        finished_at=row.finished_at,
        outcome=row.outcome,
        code=row.code,
        http_status=row.http_status,
        latency_ms=row.latency_ms,
        response=view.response,
    )


def _changed(changed: Changed, note: str) -> ChangedOut:
    fates = [
        FateOut(
            action_id=action.action_id,
            key=action.step,
            target=action.target,
            fate=fate,
            status=action.status,
            webhook_id=action.action_id,
        )
        for action, fate in changed.fates
    ]
    return ChangedOut(run=RunSummary(**_run(changed.run)), actions=fates, note=note)
