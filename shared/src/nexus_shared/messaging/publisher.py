"""Publishing: persistent, mandatory, confirmed, in order, under a time limit.

A publish that timed out may still arrive. The only safe answer is to close the channel and publish the same message
ids again, which is what `PublishUnconfirmed` asks of the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import cast

from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, DeliveryError, PublishError

from nexus_shared.errors import NexusError
from nexus_shared.ids import derive
from nexus_shared.messaging.connection import BROKER_AWAY, connect, user_of, without_frames
from nexus_shared.messaging.delivery import Outgoing

__all__ = ["Outgoing", "PublishUnconfirmed", "Publisher", "Unroutable"]


class PublishUnconfirmed(NexusError):
    """The broker did not confirm: some messages may have arrived. Publish the same ids again."""

    status = 503
    slug = "broker-away"
    title = "The broker did not confirm"


class Unroutable(NexusError):
    """No queue is bound for this key: the topology is not loaded, or the key is wrong."""

    slug = "unroutable"
    title = "No queue takes this message"


class Publisher:
    """One connection and one channel for publishing; never shared with consumers (an alarm blocks publishers)."""

    def __init__(self, url: str, name: str, *, timeout: float = 10.0) -> None:
        self._url, self._name, self._timeout = url, name, timeout
        self._user = user_of(url)
        self._connection: AbstractConnection | None = None
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """All messages in order; returns when every one is confirmed.

        Raises Unroutable when a mandatory message found no queue, PublishUnconfirmed for everything else. Where an
        answer is missing the channel is closed, since a late confirm on it could be taken for another message's.
        """
        if not messages:
            return
        channel = None
        try:
            async with asyncio.timeout(self._timeout):
                channel = await self._open()
                results = await asyncio.gather(
                    *(self._publish_one(channel, message) for message in messages), return_exceptions=True
                )
        except BROKER_AWAY as error:
            await self._drop(channel)
            raise PublishUnconfirmed(f"{type(error).__name__} while publishing") from without_frames(error)
        failures = [without_frames(result) for result in results if isinstance(result, BaseException)]
        if not failures:
            return
        if not all(isinstance(failure, DeliveryError) for failure in failures):
            await self._drop(channel)
        for failure in failures:
            if isinstance(failure, PublishError):
                raise Unroutable(str(failure)) from failure
            if not isinstance(
                failure, (*BROKER_AWAY, asyncio.CancelledError)
            ):  # a closed channel cancels its calls
                raise failure
        raise PublishUnconfirmed(f"{len(failures)} of {len(messages)} messages") from failures[0]

    async def _publish_one(self, channel: Channel, message: Outgoing) -> None:
        properties = spec.Basic.Properties(
            content_type=message.content_type,
            delivery_mode=2,
            message_id=_short(message.message_id),
            headers=dict(message.headers),
            user_id=self._user,
            reply_to=message.reply_to,
            correlation_id=message.correlation_id,
        )
        confirmation = await channel.basic_publish(
            message.body,
            exchange=message.exchange,
            routing_key=message.key,
            properties=properties,
            mandatory=message.mandatory,
            wait=False,
        )
        if not isinstance(confirmation, spec.Basic.Ack):
            raise AMQPError("neither confirmed nor refused by the broker")

    async def _open(self) -> Channel:
        async with self._opening:
            if self._channel is not None and not self._channel.is_closed:
                return self._channel
            await self._discard()
            self._connection = await connect(self._url, self._name)
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._channel = cast(Channel, await channel.get_underlay_channel())
            return self._channel

    async def is_connected(self) -> bool:
        """Opens the connection when there is none; for readiness."""
        try:
            await self._open()
        except BROKER_AWAY:
            return False
        return True

    async def _drop(self, channel: Channel | None) -> None:
        """Closes the connection that failed, unless somebody has opened another one since."""
        async with self._opening:
            if self._channel is channel:
                await self._discard()

    async def close(self) -> None:
        async with self._opening:
            await self._discard()

    async def _discard(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(*BROKER_AWAY):
                async with asyncio.timeout(2):
                    await connection.close()


def _short(message_id: str) -> str:
    """AMQP takes 255 bytes; an event's id may have 200 letters of any alphabet. The event in the body keeps its own."""
    return message_id if len(message_id) < 64 or len(message_id.encode()) <= 255 else str(derive(message_id))
