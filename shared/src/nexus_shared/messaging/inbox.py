"""What one channel has delivered and nobody has taken yet: bounded in bytes, since a prefetch only counts messages.

Messages differ in size by a factor of ten thousand: 1,500 small events are nothing, 1,500 full batches are gigabytes.
When the inbox is full the channel stops reading, then the connection, then the socket, and the broker waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from nexus_shared.messaging.delivery import Delivery, from_aiormq

MOST_BYTES = 16 * 2**20


class Inbox:
    """Of this channel alone: tags of a former one, which may still deliver, would acknowledge other messages."""

    def __init__(self, channel: Channel, on_arrival: Callable[[], None]) -> None:
        self._messages: deque[Delivery] = deque()
        self._bytes = 0
        self._on_arrival = on_arrival
        self._room = asyncio.Event()
        self._room.set()
        self._is_closed = False
        deliver = channel._on_deliver_frame

        async def deliver_when_there_is_room(frame: spec.Basic.Deliver) -> None:
            if not self._room.is_set():
                await self._room.wait()
            await deliver(frame)

        # aiormq starts a task for every message, however many wait: this is the only place that can hold them back.
        channel._on_deliver_frame = deliver_when_there_is_room  # type: ignore[method-assign]

    def __bool__(self) -> bool:
        return bool(self._messages)

    def collector(self, queue: str) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
        """The callback of a consumer of `queue`."""

        async def collect(message: DeliveredMessage) -> None:
            if self._is_closed:
                return
            self._messages.append(from_aiormq(message, queue))
            self._bytes += len(message.body)
            if self._bytes >= MOST_BYTES:
                self._room.clear()
            self._on_arrival()

        return collect

    def take(self, most_messages: int, most_bytes: int) -> list[Delivery]:
        """The oldest messages, in order; one more than `most_bytes` allow."""
        batch: list[Delivery] = []
        size = 0
        while self._messages and len(batch) < most_messages and size < most_bytes:
            delivery = self._messages.popleft()
            size += len(delivery.body)
            batch.append(delivery)
        self._bytes -= size
        if self._bytes < MOST_BYTES // 2:
            self._room.set()
        return batch

    def close(self) -> None:
        """Lets go of everything and reads on, so that the connection can say goodbye; the broker has it all."""
        self._is_closed = True
        self._messages.clear()
        self._room.set()
