"""FastStream subscribers with our defaults: nothing declared, a channel each, errors tried again and then rejected.

FastStream is 0.x and stays behind this seam. What it would do by itself and must not: drop a message on its first
error, declare topology, share one channel, and consume on while it shuts down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog
from faststream import AckPolicy
from faststream.exceptions import RejectMessage
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from faststream.rabbit.annotations import RabbitMessage
from pydantic import ValidationError

from nexus_shared.database import is_away
from nexus_shared.envelope import Command
from nexus_shared.errors import Reject
from nexus_shared.messaging.connection import HEARTBEAT_SECONDS, backoff

log = structlog.get_logger(__name__)

RETRIES_SECONDS = (0.05, 0.5, 5.0)

CommandHandler = Callable[[Command, RabbitMessage], Awaitable[None]]


class Subscribers:
    """The FastStream side of a service: its commands queue, and whatever else is not read in batches."""

    def __init__(self, url: str, service: str) -> None:
        separator = "&" if "?" in url else "?"
        self.broker = RabbitBroker(
            f"{url}{separator}heartbeat={HEARTBEAT_SECONDS}",
            app_id=service,
            graceful_timeout=20.0,
            fail_fast=False,
            reconnect_interval=1.0,
            default_channel=Channel(on_return_raises=True),
            logger=None,  # it tells of every message in words of its own; what matters is logged here
        )
        self._stopping = asyncio.Event()

    def commands(self, queue: str, handlers: Mapping[str, CommandHandler], *, prefetch: int = 32) -> None:
        """Calls `handlers[command.type]` for every command of the queue; an unknown type is a dead letter."""

        @self.broker.subscriber(
            RabbitQueue(queue, declare=False),
            channel=Channel(prefetch_count=prefetch),
            ack_policy=AckPolicy.REJECT_ON_ERROR,
            no_reply=True,  # an empty answer to `reply_to` would find no queue, and make a failure of a success
            decoder=_as_it_came,
        )
        async def on_command(content: bytes, message: RabbitMessage) -> None:
            """A command for this service."""
            await _settle(content, message, handlers)

    async def run(self) -> None:
        """Until `stop()`; waits for a broker that is away."""
        starting = asyncio.ensure_future(self.broker.start())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        starting.result()
        await stopping

    async def stop(self) -> None:
        """First no more messages, then wait for those in hand: else each would come back with its count raised."""
        self._stopping.set()
        for subscriber in self.broker.subscribers:
            queue: Any = getattr(subscriber, "_queue_obj", None)
            tag = getattr(subscriber, "_consumer_tag", None)
            if queue is not None and tag is not None and not queue.channel.is_closed:
                await queue.cancel(tag)
                subscriber._consumer_tag = None  # type: ignore[attr-defined]
        await self.broker.stop()


async def _as_it_came(message: Any) -> Any:
    """An asynchronous decoder: a synchronous one would be sent to a thread for every message."""
    return message.body


async def _settle(content: bytes, message: RabbitMessage, handlers: Mapping[str, CommandHandler]) -> None:
    try:
        command = Command.model_validate(orjson.loads(content))
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise RejectMessage(requeue=False) from error
    handler = handlers.get(command.type)
    if handler is None:
        log.error("command_unknown", type=command.type)
        raise RejectMessage(requeue=False)
    await _with_retries(handler, command, message)


async def _with_retries(handler: CommandHandler, command: Command, message: RabbitMessage) -> None:
    away, tries = backoff(), iter(RETRIES_SECONDS)
    while True:
        try:
            await handler(command, message)
        except Exception as error:
            wait = next(away) if is_away(error) else next(tries, None)
            if wait is None or isinstance(error, Reject):
                log.error("command_rejected", type=command.type, id=command.id, error=type(error).__name__)
                raise RejectMessage(requeue=False) from error
            await asyncio.sleep(wait)
        else:
            return
