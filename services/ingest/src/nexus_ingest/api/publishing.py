"""POST /v1/events: one event or a batch, recorded before the answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from nexus_ingest.api.shapes import ResultsOut, result_of
from nexus_ingest.domain.door import Publisher
from nexus_ingest.handlers.recording import Recorder
from nexus_shared import wire
from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.crashpoints import crash_point
from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.errors import InputInvalid
from nexus_shared.http.limits import RateLimit

_EXAMPLE = {
    "specversion": "1.0",
    "id": "7c9e6679",
    "source": "crm",
    "type": "lead.created",
    "tenantid": "clinica-sul",
    "subject": "lead/L-17",
    "time": "2026-11-23T09:00:00-03:00",
    "data": {"lead_id": "L-17", "name": "Ana Souza", "phone": "+5511912345678", "source": "whatsapp"},
}
_ONE = {"schema": {"type": "object", "description": "A CloudEvent (structured mode)"}, "example": _EXAMPLE}
_MANY = {
    "schema": {"type": "array", "items": {"type": "object"}, "maxItems": wire.MAX_BATCH_EVENTS},
    "example": [_EXAMPLE],
}
_REQUEST: dict[str, Any] = {"requestBody": {"required": True, "content": {STRUCTURED: _ONE, BATCH: _MANY}}}


def routes(recorder: Recorder, limit: RateLimit) -> APIRouter:
    """The one hot route, hence without dependencies that FastAPI would solve for each request."""
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
        return JSONResponse({"results": [result_of(verdict) for verdict in verdicts]}, 202)

    return router


def _publisher(who: Principal) -> Publisher:
    return Publisher(who.name, who.tenant_id, may_backfill=Scope.EVENTS_BACKFILL in who.scopes)
