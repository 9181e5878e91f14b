"""The envelope: CloudEvents 1.0 with the extensions of this platform (docs/events.md).

Shapes on the wire: structured (`application/cloudevents+json`), batch (`application/cloudevents-batch+json`) and
binary (attributes in headers, data in the body). Parsing from bytes is in `nexus_shared.wire`, because a door must also
name what is wrong.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from nexus_shared.ids import TENANT_PATTERN, TenantId, derive

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
TYPE_PATTERN = r"^[a-z0-9_]+(\.[a-z0-9_]+){1,5}$"
MAX_HOPS = 32

# No control characters: identifiers end up in headers, keys and log lines.
Printable = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]


class Event(BaseModel):
    """A fact. Identity is (tenantid, source, id); `sequence` (its position in the log) and `recordedtime` are set
    by ingest."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[Printable, Field(max_length=200)]
    source: Annotated[Printable, Field(max_length=200)]
    type: Annotated[str, Field(pattern=TYPE_PATTERN, max_length=100)]
    tenantid: Annotated[str, Field(pattern=TENANT_PATTERN)]
    subject: Annotated[Printable, Field(max_length=200)] | None = None
    time: AwareDatetime | None = None
    datacontenttype: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    correlationid: Annotated[Printable, Field(max_length=200)] | None = None
    causationid: Annotated[Printable, Field(max_length=200)] | None = None
    hops: Annotated[int, Field(ge=0, le=MAX_HOPS)] = 0
    schemaversion: Annotated[int, Field(ge=1, le=32767)] = 1
    traceparent: (
        Annotated[str, Field(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")] | None
    ) = None
    sequence: str | None = None
    recordedtime: AwareDatetime | None = None

    @property
    def tenant_id(self) -> TenantId:
        return TenantId(self.tenantid)

    @property
    def position(self) -> int:
        """The place in the log; 0 while the event has not been recorded."""
        return int(self.sequence or 0)

    def as_dict(self) -> dict[str, Any]:
        """Only what is set, `time` as ISO 8601."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_json(self) -> bytes:
        return orjson.dumps(self.as_dict())


def follow(
    cause: Event,
    type: str,
    data: dict[str, Any],
    *,
    source: str,
    subject: str | None = None,
    id: str | None = None,
    time: datetime | None = None,
) -> Event:
    """The next event of the story that `cause` belongs to: tenant, correlation, causation, hops and trace come along.

    Without an `id` it is derived from the cause, the type and the source, so that saying it twice says it once.
    """
    return Event(
        id=id or str(derive(cause.tenantid, cause.source, cause.id, source, type, subject or "")),
        source=source,
        type=type,
        tenantid=cause.tenantid,
        subject=subject if subject is not None else cause.subject,
        time=time,
        data=data,
        correlationid=cause.correlationid or cause.id,
        causationid=cause.id,
        hops=cause.hops + 1,
        traceparent=cause.traceparent,
    )


class RetryPolicy(BaseModel):
    """How the owner of a call retries it; nobody else does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 9
    on_unknown: Literal["retry", "probe", "hold"] = "retry"


class Command(Event):
    """A request to one owner, imperative (`whatsapp.send_message`): `id` is the action's id and idempotency key."""

    deadline: AwareDatetime | None = None
    retry: RetryPolicy = RetryPolicy()
