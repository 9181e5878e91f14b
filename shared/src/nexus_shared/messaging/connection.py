"""Connections to the broker: plain ones, made anew by whoever needs them.

Not `connect_robust`: its consumers have a history of not coming back silently. Our loops reconnect themselves.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from yarl import URL

from nexus_shared.messaging import tolerance

tolerance.install()

HEARTBEAT_SECONDS = 5
"""A silent broker is given up after three missed beats and a second each: 18 s."""
CONNECT_SECONDS = 5.0

BROKER_AWAY: tuple[type[BaseException], ...] = (
    aiormq.exceptions.AMQPError,
    OSError,
    TimeoutError,
    asyncio.TimeoutError,
    RuntimeError,  # aio-pika: "connection closed" while a call was waiting
)
"""What the client raises when the broker, or the way to it, is gone."""


async def connect(url: str, name: str) -> AbstractConnection:
    """A connection called `name` in the broker's list; raises one of BROKER_AWAY within 5 s."""
    async with asyncio.timeout(CONNECT_SECONDS):
        return await aio_pika.connect(
            URL(url).update_query(heartbeat=HEARTBEAT_SECONDS), client_properties={"connection_name": name}
        )


def user_of(url: str) -> str:
    """The broker user in an AMQP URL; the broker checks `user_id` against it."""
    return URL(url).user or "guest"


def backoff(*, first: float = 0.1, most: float = 5.0) -> Iterator[float]:
    """Growing waits in seconds, each with up to 50 % jitter, for as long as somebody asks."""
    wait = first
    while True:
        yield wait * random.uniform(0.5, 1.0)
        wait = min(most, wait * 2)


def without_frames(error: BaseException) -> BaseException:
    """The same error, and what caused it, without tracebacks.

    The client library's errors stand in reference cycles, and tracebacks keep every frame they went through, with the
    messages in it: while the broker is away each try would keep its messages until the next full collection.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:  # chains can be circular, too
        seen.add(id(link))
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
