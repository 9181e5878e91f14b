"""Answering who reads history over the broker: a tenant's events again, in frames, to the asker's reply queue."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nexus_ingest.domain.frames import Recorded, parts
from nexus_ingest.handlers.reading import LogReader
from nexus_ingest.store.log import LogStore
from nexus_shared.envelope import BATCH, Command
from nexus_shared.errors import Reject
from nexus_shared.ids import TENANT_PATTERN, TenantId
from nexus_shared.messaging.history import answer_headers
from nexus_shared.messaging.publisher import Outgoing, Publisher
from nexus_shared.wire import batch_body

MOST_EVENTS = 5_000


class ReadHistory(BaseModel):
    """The data of `ingest.read`: events with after < position <= until, at most `limit` in one answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Annotated[str, Field(pattern=TENANT_PATTERN)]
    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    until: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    types: list[str] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_EVENTS)] = 1_000


class History:
    def __init__(self, log: LogReader, store: LogStore, publisher: Publisher) -> None:
        self._log, self._store, self._publisher = log, store, publisher

    async def answer(self, command: Command, reply_to: str) -> None:
        """Frames of at most 100 events or 256 KiB, the last one marked `is_end`. Raises Reject for a wrong request.

        Nobody waits where the reply queue is gone: the broker drops such frames silently.
        """
        request = _read(command, reply_to)
        head = (await self._store.head()).last_position
        until = min(head if request.until is None else request.until, head)
        events = await self._log.history(
            TenantId(request.tenant), request.after, until, request.types, request.limit
        )
        # Fewer than asked for: there are no more up to `until`.
        end = events[-1].position if len(events) == request.limit else max(until, request.after)
        await self._publisher.publish(_frames(events, request.after, end, until, reply_to, command.id))


def _read(command: Command, reply_to: str) -> ReadHistory:
    if not reply_to:
        raise Reject("ingest.read needs reply_to: the queue that the answer goes to")
    try:
        return ReadHistory.model_validate(command.data)
    except ValidationError as error:
        wrong = ", ".join(
            str(mistake["loc"][0]) for mistake in error.errors(include_url=False, include_input=False)
        )
        raise Reject(f"ingest.read: {wrong} does not fit") from None


def _frames(
    events: list[Recorded], after: int, end: int, until: int, reply_to: str, asked_by: str
) -> list[Outgoing]:
    """A chain of frames from `after` to `end`; without events one empty frame."""
    frames = []
    portions = list(parts(events)) or [[]]
    for number, portion in enumerate(portions):
        is_end = number == len(portions) - 1
        last = end if is_end else portion[-1].position
        frames.append(
            Outgoing(
                "",
                reply_to,
                batch_body([event.json for event in portion]),
                message_id=f"{asked_by}-{after}",
                content_type=BATCH,
                headers=answer_headers(prev=after, last=last, until=until, is_end=is_end),
                mandatory=False,  # a direct reply queue counts as no queue
                correlation_id=asked_by,
            )
        )
        after = last
    return frames
