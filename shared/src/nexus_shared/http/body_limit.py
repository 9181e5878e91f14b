"""A limit on request bodies that holds for chunked ones too, and a 413 that reaches the client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nexus_shared.errors import NexusError
from nexus_shared.http.problems import response_to

KIB = 1024
DEFAULT_LIMIT = 256 * KIB
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * KIB * KIB

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyTooLarge(NexusError):
    """The body exceeds 262144 bytes. Send less at once."""

    status = 413
    slug = "too-large"
    title = "The request is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The body exceeds {limit} bytes. Send less at once.", headers={"Connection": "close"}
        )


class BodyLimit:
    """At most `limit` bytes of body reach a route; `by_path` has other limits for exact paths.

    A declared length is checked before anything is read (the server holds the client to it); a chunked body is
    counted, and the application never gets the chunk that crosses the limit.
    """

    def __init__(
        self, app: ASGIApp, limit: int = DEFAULT_LIMIT, by_path: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._limit = limit
        self._by_path = by_path or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        limit = self._by_path.get(scope["path"], self._limit)
        length, is_chunked = _framing(scope)
        if length > limit:
            return await _refuse(scope, receive, send, limit)
        if not is_chunked:
            return await self._app(scope, receive, send)
        return await self._counted(scope, receive, send, limit)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        taken, is_complete, is_answered = 0, False, False

        async def counting() -> Message:
            nonlocal taken, is_complete
            message = await receive()
            taken += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if taken > limit:
                # An HTTPException, because FastAPI makes a 400 of anything else that interrupts reading.
                raise HTTPException(413)
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal is_answered
            if taken <= limit:
                is_answered = True
                await send(message)

        await self._app(scope, counting, unless_refused)
        if taken > limit and not is_answered:
            await _refuse(scope, receive, send, limit, is_complete=is_complete)


def _framing(scope: Scope) -> tuple[int, bool]:
    """(declared length, whether the length is only known by reading)."""
    length, is_chunked = 0, False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value) if value.isdigit() else 0
        elif name == b"transfer-encoding":
            is_chunked = True
    return length, is_chunked


async def _refuse(
    scope: Scope, receive: Receive, send: Send, limit: int, *, is_complete: bool = False
) -> None:
    """Answers at once, then reads on for a moment and throws it away: a client that is still writing would get a
    reset connection instead of the answer.
    """
    response = response_to(BodyTooLarge(limit), scope.get("request_id"))
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if not is_complete:
        await _linger(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _linger(receive: Receive) -> None:
    thrown_away = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while thrown_away < LINGER_BYTES:
                message = await receive()
                thrown_away += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
