"""POST /v1/events: one event or a batch, recorded before the answer."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from nexus_ingest.domain.door import Publisher
from nexus_ingest.handlers.recording import Recorder, Verdict
from nexus_shared import wire
from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.crashpoints import crash_point
from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.errors import InputInvalid
from nexus_shared.http.limits import RateLimit


class FlawOut(BaseModel):
    pointer: str
    message: str
    code: str


class ResultOut(BaseModel):
    """What became of one event of the request, in its order."""

    status: Literal["stored", "duplicate", "conflict", "invalid"]
    position: int | None = None
    errors: list[FlawOut] | None = None


class ResultsOut(BaseModel):
    results: list[ResultOut]


_BODY = {"schema": {"type": "object", "description": "A CloudEvent (structured mode)"}}
_BATCH = {"schema": {"type": "array", "items": {"type": "object"}, "maxItems": wire.MAX_BATCH_EVENTS}}
_REQUEST = {"requestBody": {"required": True, "content": {STRUCTURED: _BODY, BATCH: _BATCH}}}


def routes(recorder: Recorder, limit: RateLimit) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["events"])

    @router.post(
        "/events",
        status_code=202,
        operation_id="publishEvents",
        response_model=ResultsOut,
        openapi_extra=_REQUEST,
    )
    async def publish(request: Request, who: Annotated[Principal, requires(Scope.EVENTS_WRITE)]) -> Response:
        """Records events: 202 with a result each, in order, once they are in the log. A single unfit event is 422."""
        content = await request.body()
        items, is_batch = wire.read(content, request.headers.get("content-type", ""), request.headers)
        limit.take(who.jti, len(items))
        verdicts = await recorder.record(items, _publisher(who))
        crash_point("http.before_answer")
        if not is_batch and verdicts[0].refused is not None:
            raise InputInvalid(str(verdicts[0].refused), flaws=verdicts[0].refused.flaws)
        return JSONResponse({"results": [_result(verdict) for verdict in verdicts]}, 202)

    return router


def _publisher(who: Principal) -> Publisher:
    return Publisher(who.name, who.tenant_id, may_backfill=Scope.EVENTS_BACKFILL in who.scopes)


def _result(verdict: Verdict) -> dict[str, object]:
    if verdict.refused is not None:
        return {"status": "invalid", "errors": [flaw.as_dict() for flaw in verdict.refused.flaws]}
    assert verdict.answer is not None
    return {"status": verdict.answer.status, "position": verdict.answer.position}
