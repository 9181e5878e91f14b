"""Reading history: a tenant's recorded events again, over the broker, from ingest (`ingest.read`).

The reader asks for a thousand events at a time and gets frames on its direct reply queue. Each frame names the position
before it, so a lost one is noticed and asked for again; ingest keeps nothing between two requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
from aiormq import spec
from aiormq.abc import DeliveredMessage

from nexus_shared.envelope import STRUCTURED, Command
from nexus_shared.errors import NexusError
from nexus_shared.ids import TenantId
from nexus_shared.messaging.connection import BROKER_AWAY, backoff, connect, user_of
from nexus_shared.topology import COMMANDS

READ = "ingest.read"
REPLY_QUEUE = "amq.rabbitmq.reply-to"
"""RabbitMQ's direct reply-to: no queue is declared, and answers die with the connection."""

CHUNK_EVENTS = 1_000
ANSWER_SECONDS = 15.0
TRIES = 5


class HistoryUnanswered(NexusError):
    """ingest did not answer a request for history. Is it running? Ask again later."""

    status = 503
    slug = "history-unanswered"
    title = "The history cannot be read now"

    def __init__(self) -> None:
        super().__init__("ingest did not answer a request for history. Is it running? Ask again later.")


class Frame(NamedTuple):
    """Events with prev < position <= last. `is_end` marks the last frame of an answer, not of history: that is reached
    where `last` is `until`."""

    prev: int
    last: int
    until: int
    is_end: bool
    events: list[dict[str, Any]]


def answer_headers(*, prev: int, last: int, until: int, is_end: bool) -> dict[str, Any]:
    return {"prev": prev, "last": last, "until": until, "is_end": is_end}


class _Lost(Exception):
    """A frame is missing, late, or the connection is gone: ask again from where we are."""


_AGAIN: tuple[type[BaseException], ...] = (_Lost, *BROKER_AWAY)


class HistoryReader:
    """Reads with the rights of the service whose broker address `url` is; a connection for each reading."""

    def __init__(
        self, url: str, *, answer_seconds: float = ANSWER_SECONDS, chunk_events: int = CHUNK_EVENTS
    ) -> None:
        self._url, self._answer_seconds, self._chunk_events = url, answer_seconds, chunk_events

    async def read(
        self,
        tenant_id: TenantId,
        *,
        after: int = 0,
        until: int | None = None,
        types: Sequence[str] | None = None,
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The tenant's events with after < position <= until, in order, at most 100 at a time, of `types` or all.

        Without `until` reading ends where the log ended when it began. Raises HistoryUnanswered. Close it (`aclosing`)
        if you stop before the end.
        """
        waits, failures = backoff(), 0
        while True:
            reading = _Reading(self._url, tenant_id, types, self._chunk_events, self._answer_seconds)
            try:
                async with contextlib.aclosing(reading.frames(after, until)) as frames:
                    async for frame in frames:
                        after, until, failures = frame.last, frame.until, 0
                        if frame.events:
                            yield frame.events
                return
            except _AGAIN as lost:
                failures += 1
                if failures == TRIES:
                    raise HistoryUnanswered from lost
            await asyncio.sleep(next(waits))


class _Reading:
    """One connection's worth of reading."""

    def __init__(
        self,
        url: str,
        tenant_id: TenantId,
        types: Sequence[str] | None,
        chunk_events: int,
        answer_seconds: float,
    ) -> None:
        self._url, self._user = url, user_of(url)
        self._tenant_id, self._types = tenant_id, types
        self._chunk_events, self._answer_seconds = chunk_events, answer_seconds
        self._answers: asyncio.Queue[DeliveredMessage] = asyncio.Queue()

    async def frames(self, after: int, until: int | None) -> AsyncGenerator[Frame, None]:
        """The next request goes out before the last frame of an answer is handed over, so both sides keep working."""
        connection = await connect(self._url, "history")
        async with connection:
            channel = await (await connection.channel(publisher_confirms=False)).get_underlay_channel()
            await channel.basic_consume(REPLY_QUEUE, self._answers.put, no_ack=True)
            asked = await self._ask(channel, after, until)
            while True:
                frame = await self._next(asked, channel)
                if frame.prev != after:
                    raise _Lost
                after, until = frame.last, frame.until
                is_done = frame.is_end and frame.last >= frame.until
                if frame.is_end and not is_done:
                    asked = await self._ask(channel, after, until)
                yield frame
                if is_done:
                    return

    async def _ask(self, channel: Any, after: int, until: int | None) -> str:
        wanted = {"tenant": self._tenant_id, "after": after, "limit": self._chunk_events}
        if until is not None:
            wanted["until"] = until
        if self._types is not None:
            wanted["types"] = list(self._types)
        command = Command(
            id=str(uuid4()),
            source=self._user.removeprefix("svc."),
            type=READ,
            tenantid=self._tenant_id,
            data=wanted,
        )
        await channel.basic_publish(
            command.to_json(),
            exchange=COMMANDS,
            routing_key=READ,
            properties=spec.Basic.Properties(
                content_type=STRUCTURED,
                message_id=command.id,
                correlation_id=command.id,
                reply_to=REPLY_QUEUE,
                user_id=self._user,
            ),
        )
        return command.id

    async def _next(self, asked: str, channel: Any) -> Frame:
        """The next frame that answers `asked`; anything else on the reply queue is not for us."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                while True:
                    message = await _unless_closed(self._answers.get(), channel)
                    headers = message.header.properties.headers or {}
                    if message.header.properties.correlation_id == asked and "last" in headers:
                        return _frame(headers, message.body)
        except TimeoutError:
            raise _Lost from None


async def _unless_closed(getting: Any, channel: Any) -> DeliveredMessage:
    turn = asyncio.ensure_future(getting)
    try:
        await asyncio.wait({turn, channel.closing}, return_when=asyncio.FIRST_COMPLETED)
        if not turn.done():
            raise _Lost
        message: DeliveredMessage = turn.result()
        return message
    finally:
        turn.cancel()


def _frame(headers: Any, body: bytes) -> Frame:
    return Frame(
        prev=int(headers["prev"]),
        last=int(headers["last"]),
        until=int(headers["until"]),
        is_end=bool(headers["is_end"]),
        events=orjson.loads(body),
    )
