"""Live feeds by server-sent events: resumable, with a heartbeat, ended when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, NamedTuple

import anyio
from fastapi import Header, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

HEARTBEAT_SECONDS = 15
SEND_SECONDS = 30.0
CLEANUP_SECONDS = 5.0

LastPosition = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID",
        ge=0,
        lt=2**63,
        description="Resume after this position; browsers send it themselves",
    ),
]


class Update(NamedTuple):
    """One event of a feed: `id` resumes after it, `event` is its type, `data` one JSON text."""

    id: str
    event: str
    data: str


def live(
    request: Request, updates: AsyncGenerator[Update, None], *, heartbeat: int = HEARTBEAT_SECONDS
) -> EventSourceResponse:
    """Streams updates until they end, the client leaves, it takes none for SEND_SECONDS, or the server stops.

    `updates` is closed in every case; `heartbeat` is in seconds.
    """
    return EventSourceResponse(
        _until(request.app.state.closing, updates),
        ping=heartbeat,
        ping_message_factory=lambda: ServerSentEvent(comment="still here", sep="\n"),
        send_timeout=SEND_SECONDS,
        sep="\n",
    )


async def _until(
    closing: asyncio.Event, updates: AsyncGenerator[Update, None]
) -> AsyncIterator[ServerSentEvent]:
    end = asyncio.create_task(closing.wait())
    try:
        while (update := await _next_or(end, updates)) is not None:
            yield ServerSentEvent(update.data, id=update.id, event=update.event, sep="\n")
    finally:
        end.cancel()
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            await updates.aclose()


async def _next_or(end: asyncio.Task[bool], updates: AsyncGenerator[Update, None]) -> Update | None:
    """The next update; None when there is none left or the end came first."""
    turn = asyncio.ensure_future(anext(updates, None))
    try:
        await asyncio.wait((turn, end), return_when=asyncio.FIRST_COMPLETED)
        return turn.result() if turn.done() and not end.done() else None
    finally:
        # sse-starlette cancels by an anyio scope, which would cut every further await here.
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            turn.cancel()
            await asyncio.wait((turn,))
