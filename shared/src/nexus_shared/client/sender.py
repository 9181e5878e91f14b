"""The sender: parcels to the broker in order, many in flight, and again until each is confirmed.

One connection, one channel. Whatever fails (a lost connection, a time-out, a full queue) leaves everything in flight
unknown: the channel is closed, since a late confirm on it could be taken for another's, and the same parcels are sent
again, in order. After trouble the first parcel goes alone; after a refusal each of those that were in flight does, so
that the broker's complaint, which names no message, can only mean this one.

A queue that is full refuses single messages while it takes later ones: only then, and only among what was in flight
(at most WINDOW parcels), can an event overtake another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import aiormq
from aiormq import spec
from aiormq.channel import Channel
from aiormq.connection import Connection
from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from yarl import URL

from nexus_shared.client.errors import PublishRefused
from nexus_shared.client.parcels import Parcel
from nexus_shared.messaging.connection import (
    BROKER_AWAY,
    CONNECT_SECONDS,
    HEARTBEAT_SECONDS,
    backoff,
    user_of,
)

log = logging.getLogger(__name__)

WINDOW = 500
"""Parcels in flight at most."""
WINDOW_BYTES = 2 * 2**20
"""Bytes in flight at most (one parcel always fits): a slow line must confirm them within the time limit."""

LOGIN_REFUSED = (AuthenticationError, ProbableAuthenticationError, ConnectionNotAllowed)
REFUSED = (ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed)


@dataclass(eq=False)
class Pending:
    """A parcel on its way. `outcome` ends with the confirm, or with PublishRefused when somebody is waiting."""

    parcel: Parcel
    outcome: asyncio.Future[None]
    waiting: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = self.parcel.size


class Sender:
    """`submit` in order; `on_confirmed` and `on_refused` are called once per parcel, in the loop.

    `run()` goes on until it is cancelled. `trouble` says what ended the last connection.
    """

    def __init__(
        self,
        url: str,
        name: str,
        exchange: str,
        *,
        confirm_seconds: float,
        on_confirmed: Callable[[Pending], None],
        on_refused: Callable[[Pending, PublishRefused], None],
    ) -> None:
        self._url, self._name, self._exchange = url, name, exchange
        self._user = user_of(url)
        self._confirm_seconds = confirm_seconds
        self._on_confirmed, self._on_refused = on_confirmed, on_refused
        self._queue: deque[Pending] = deque()
        self._in_flight: dict[Pending, asyncio.Task[None]] = {}
        self._bytes_in_flight = 0
        self._alone = 0
        self._unknown = 0
        self._failure: BaseException | None = None
        self._channel: Channel | None = None
        self._wake = asyncio.Event()
        self._waits = backoff()
        self.is_connected = self._was_connected = False
        self.trouble = ""

    def submit(self, pending: Pending) -> None:
        self._queue.append(pending)
        self._wake.set()

    async def run(self) -> None:
        """Send for ever, connecting again after every loss."""
        while True:
            try:
                await self._session()
            except REFUSED as error:
                if self._blame(error):
                    continue
            except Exception as error:  # whatever it is, the parcels are still here and must go out
                self._report(error)
                if isinstance(error, LOGIN_REFUSED) and not self._was_connected:
                    self._turn_away(error)
            await asyncio.sleep(next(self._waits))

    def _report(self, error: Exception) -> None:
        self.trouble = _told(error)
        waiting = len(self._queue)
        unforeseen = not isinstance(error, BROKER_AWAY)
        log.warning("Broker lost (%s); %d messages wait", self.trouble, waiting, exc_info=unforeseen)

    async def _session(self) -> None:
        """One connection's life. Ends with the error that ended it; what was in flight is back in the queue."""
        connection = await _connection(self._url, self._name)
        try:
            async with asyncio.timeout(self._confirm_seconds):
                opened = await connection.channel(publisher_confirms=True, on_return_raises=True)
            self.is_connected = self._was_connected = True
            await self._pump(cast(Channel, opened))
        finally:
            self.is_connected, self._channel = False, None
            await self._take_back()
            await _discard(connection)

    async def _pump(self, channel: Channel) -> None:
        """Keep the window full until something fails."""
        self._failure, self._channel = None, channel
        channel.closing.add_done_callback(lambda closing: self._lost(channel, closing))
        while self._failure is None:
            while self._queue and self._has_room(self._queue[0]):
                self._launch(channel, self._queue.popleft())
            self._wake.clear()
            await self._wake.wait()
        raise self._failure

    def _has_room(self, pending: Pending) -> bool:
        if not self._in_flight:
            return True
        if self._alone:
            return False
        return len(self._in_flight) < WINDOW and self._bytes_in_flight + pending.size <= WINDOW_BYTES

    def _launch(self, channel: Channel, pending: Pending) -> None:
        # Tasks start in the order they are made and queue at the channel's lock: that is the order on the wire.
        self._in_flight[pending] = asyncio.create_task(self._publish(channel, pending))
        self._bytes_in_flight += pending.size

    async def _publish(self, channel: Channel, pending: Pending) -> None:
        try:
            async with asyncio.timeout(self._confirm_seconds):
                await self._say(channel, pending.parcel)
        except PublishError:
            self._land(pending)
            self._on_refused(pending, _unroutable(pending.parcel, self._exchange))
        except Exception as error:
            self._fail(error)
        else:
            self._land(pending)
            self._waits = backoff()
            self._on_confirmed(pending)
        self._wake.set()

    async def _say(self, channel: Channel, parcel: Parcel) -> None:
        """Returns with the broker's ack; a nack raises DeliveryError, no queue for it PublishError."""
        await channel.basic_publish(
            parcel.content,
            exchange=self._exchange,
            routing_key=parcel.key,
            mandatory=True,
            wait=False,
            properties=spec.Basic.Properties(
                content_type=parcel.content_type,
                delivery_mode=2,
                message_id=parcel.message_id,
                user_id=self._user,
            ),
        )

    def _land(self, pending: Pending) -> None:
        del self._in_flight[pending]
        self._bytes_in_flight -= pending.size
        self._alone = max(0, self._alone - 1)

    def _lost(self, channel: Channel, closing: asyncio.Future[object]) -> None:
        error = None if closing.cancelled() else closing.exception()
        if channel is self._channel:  # else an earlier one, which only now could be closed
            self._fail(error or ConnectionError("the broker closed the channel"))

    def _fail(self, error: BaseException) -> None:
        # The first error is the cause; those of the other flights only follow from it.
        self._failure = self._failure or error
        self._wake.set()

    async def _take_back(self) -> None:
        """What was in flight is unknown: to the front of the queue, in order."""
        flights = dict(self._in_flight)
        for task in flights.values():
            task.cancel()
        await asyncio.gather(*flights.values(), return_exceptions=True)
        unknown = [pending for pending in flights if pending in self._in_flight]
        self._in_flight.clear()
        self._bytes_in_flight = 0
        self._queue.extendleft(reversed(unknown))
        self._alone = max(self._alone, len(unknown) if isinstance(self._failure, REFUSED) else 1)
        self._unknown = len(unknown)

    def _blame(self, error: BaseException) -> bool:
        """True when the refusal could be pinned on one parcel, or will be, by sending each alone."""
        if self._unknown == 1:
            pending = self._queue.popleft()
            self._on_refused(pending, _refused(pending.parcel, error))
        return self._unknown > 0

    def _turn_away(self, error: BaseException) -> None:
        """The first login is refused: tell those who wait; a later one may be a broker's that is just starting.

        What nobody waits for stays, as the login may be repaired.
        """
        told = [pending for pending in self._queue if pending.waiting]
        self._queue = deque(pending for pending in self._queue if not pending.waiting)
        for pending in told:
            self._on_refused(pending, _turned_away(pending.parcel, self._user, error))


def _unroutable(parcel: Parcel, exchange: str) -> PublishRefused:
    return PublishRefused(
        f"No queue takes {parcel.key!r} at exchange {exchange!r}: the platform's broker definitions are not loaded "
        "there, or the address points to another vhost. Ask the platform's operator, or check amqp_url.",
        parcel.events,
    )


def _refused(parcel: Parcel, error: BaseException) -> PublishRefused:
    return PublishRefused(
        f"The broker refuses key {parcel.key!r} ({error}). Check that amqp_url is the address given for this tenant "
        "and that tenant_id is spelled as in it; the platform's operator grants access with `nexus publisher add`.",
        parcel.events,
    )


def _turned_away(parcel: Parcel, user: str, error: BaseException) -> PublishRefused:
    return PublishRefused(
        f"The broker refuses the login of {user!r} ({error}). Check user, password and vhost in amqp_url.",
        parcel.events,
    )


def _told(error: BaseException) -> str:
    if isinstance(error, InvalidFrameError) and "OpenOk" in str(error):
        return "the broker refuses the vhost in amqp_url: misspelled, not granted, or just starting"
    if isinstance(error, ChannelInvalidStateError):
        return "the connection was lost"
    return str(error) or type(error).__name__


async def _connection(url: str, name: str) -> Connection:
    """Not aio-pika's: one that failed to connect closes itself when collected, and here perhaps in another thread."""
    async with asyncio.timeout(CONNECT_SECONDS):
        address = URL(url).update_query(heartbeat=HEARTBEAT_SECONDS)
        return await aiormq.connect(address, client_properties={"connection_name": name})


async def _discard(connection: Connection) -> None:
    with contextlib.suppress(*BROKER_AWAY):
        async with asyncio.timeout(2):
            await connection.close()
