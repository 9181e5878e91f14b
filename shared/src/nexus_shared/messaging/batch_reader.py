"""Reading a queue in batches: whatever arrived while the previous batch was being committed, at most N.

Two stages overlap: while one batch is committed, the next is prepared (parsed, checked). Commits happen one after the
other, so the queue's order is kept, and `ack(multiple)` is safe because a batch is a contiguous run of deliveries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

import structlog
from aiormq.abc import AbstractChannel
from aiormq.channel import Channel

from nexus_shared.crashpoints import crash_point
from nexus_shared.errors import Reject, RetryLater
from nexus_shared.messaging.connection import BROKER_AWAY, backoff, connect, without_frames
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.messaging.inbox import Inbox

log = structlog.get_logger(__name__)

Prepared = TypeVar("Prepared")
RETRIES_SECONDS = (0.05, 0.5, 5.0)


class BatchHandler(Protocol[Prepared]):
    """What a batch reader calls. Both stages must be idempotent: a batch can come again."""

    async def prepare(self, batch: Sequence[Delivery]) -> Prepared:
        """Everything that needs no order: parse, check, look up."""
        ...

    async def commit(self, prepared: Prepared) -> None:
        """The effect, in the queue's order. When it returns, the batch is acknowledged."""
        ...


class _GivenBack(Exception):
    """Stopping while something is away: the batch stays unacknowledged and returns to its queue."""


class BatchReader(Generic[Prepared]):
    """Reads `queues` on a connection of its own, reconnecting for ever, until `stop()`.

    `is_away(error)` tells that a dependency (the database) does not answer: the batch is kept and tried again without
    end, as it is on RetryLater. Any other error is tried three times, then each message alone; one that still fails is
    rejected without requeue, which makes it a dead letter.
    """

    def __init__(
        self,
        url: str,
        queues: Sequence[str],
        handler: BatchHandler[Prepared],
        *,
        name: str,
        is_away: Callable[[BaseException], bool],
        max_messages: int = 500,
        max_bytes: int = 2**20,
        on_connected: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._url, self._queues, self._handler, self._name = url, queues, handler, name
        self._is_away = is_away
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._on_connected = on_connected
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self.is_connected = False

    async def run(self) -> None:
        """Until `stop()`: connect, read, and after a loss connect again."""
        waits = backoff()
        while not self._stopping.is_set():
            try:
                await self._read_connection()
            except _GivenBack:
                return
            except BROKER_AWAY as error:
                log.warning(
                    "reader_lost_broker", reader=self._name, error=type(without_frames(error)).__name__
                )
            finally:
                if self.is_connected:
                    waits = backoff()
                self.is_connected = False
            await self._sleep(next(waits))

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def stop(self) -> None:
        """Finish the batch in hand; what was only buffered goes back to the queue, in order."""
        self._stopping.set()
        self._arrived.set()

    async def _read_connection(self) -> None:
        connection = await connect(self._url, self._name)
        inbox: Inbox | None = None
        try:
            channel = await connection.channel(publisher_confirms=False)
            await channel.set_qos(prefetch_count=self._max_messages * 3)
            raw = cast(Channel, await channel.get_underlay_channel())
            inbox, lost = Inbox(raw, self._arrived.set), _losing(raw)
            for queue in self._queues:
                await raw.basic_consume(queue, inbox.collector(queue))
            self.is_connected = True
            if self._on_connected is not None:
                await self._on_connected()
            await self._pump(raw, inbox, lost)
        finally:
            if inbox is not None:
                inbox.close()
            with contextlib.suppress(*BROKER_AWAY):
                async with asyncio.timeout(2):
                    await connection.close()

    async def _pump(self, channel: AbstractChannel, inbox: Inbox, lost: asyncio.Future[str]) -> None:
        """Overlap the two stages; a lost channel ends both."""
        committing: asyncio.Task[None] | None = None
        prepared: asyncio.Task[Prepared | Exception] | None = None
        try:
            while (batch := await self._take(inbox, lost)) is not None:
                prepared = asyncio.create_task(self._prepare(batch))
                if committing is not None:
                    await asyncio.shield(committing)
                ready = await prepared
                committing = asyncio.create_task(self._commit(channel, batch, ready))
                if not inbox:  # nothing to overlap with: an immediate answer beats a full pipeline
                    await asyncio.shield(committing)
            if committing is not None:
                await asyncio.shield(committing)
        finally:
            for task in (committing, prepared):
                if task is not None:
                    task.cancel()

    async def _take(self, inbox: Inbox, lost: asyncio.Future[str]) -> list[Delivery] | None:
        """The next batch; None when stopping. Raises ConnectionError when no more will come."""
        while not inbox and not self._stopping.is_set():
            self._arrived.clear()
            waiter: asyncio.Future[Any] = asyncio.ensure_future(self._arrived.wait())
            await asyncio.wait({waiter, lost}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            if lost.done():
                raise ConnectionError(lost.result())
        if self._stopping.is_set():
            return None
        return inbox.take(self._max_messages, self._max_bytes)

    async def _prepare(self, batch: Sequence[Delivery]) -> Prepared | Exception:
        """An error is handed on as a value: the commit stage decides, in order."""
        try:
            return await self._handler.prepare(batch)
        except Exception as error:
            return error

    async def _commit(
        self, channel: AbstractChannel, batch: Sequence[Delivery], ready: Prepared | Exception
    ) -> None:
        try:
            if isinstance(ready, Exception):
                raise ready
            await self._handler.commit(ready)
        except Exception as error:
            await self._again(channel, batch, error)
            return
        crash_point("reader.before_ack")
        await channel.basic_ack(batch[-1].tag, multiple=True, wait=False)
        crash_point("reader.after_ack")

    async def _again(self, channel: AbstractChannel, batch: Sequence[Delivery], error: Exception) -> None:
        """The batch failed once. Wait for what is away; else three more tries, then one by one."""
        try:
            await self._attempt(batch, error)
        except _GivenBack:
            raise
        except Exception as failure:
            if len(batch) == 1:
                log.error(
                    "message_rejected",
                    reader=self._name,
                    message_id=batch[0].message_id,
                    error=_told(failure),
                )
                await channel.basic_reject(batch[0].tag, requeue=False)
                return
            log.warning("batch_split", reader=self._name, messages=len(batch), error=_told(failure))
            for delivery in batch:
                await self._commit(channel, [delivery], await self._prepare([delivery]))
            return
        await channel.basic_ack(batch[-1].tag, multiple=True, wait=False)

    async def _attempt(self, batch: Sequence[Delivery], error: Exception) -> None:
        away, tries = backoff(), iter(RETRIES_SECONDS)
        while True:
            if isinstance(error, RetryLater) or self._is_away(error):
                log.warning("reader_waits", reader=self._name, error=_told(error))
                await self._sleep(
                    error.after.total_seconds() if isinstance(error, RetryLater) else next(away)
                )
                if self._stopping.is_set():
                    raise _GivenBack
            elif isinstance(error, Reject) or (wait := next(tries, None)) is None:
                raise error
            else:
                await asyncio.sleep(wait)
            try:
                await self._handler.commit(await self._handler.prepare(batch))
            except Exception as again:
                error = again
            else:
                return


def _losing(channel: Channel) -> asyncio.Future[str]:
    """Done, with the reason, when the channel delivers no more: it was closed, or the broker cancelled a consumer."""
    lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def lose(reason: str) -> None:
        if not lost.done():
            lost.set_result(reason)

    channel.closing.add_done_callback(lambda _: lose("channel closed"))
    channel.on_consumer_cancel_callbacks.add(lambda _: lose("consumer cancelled by the broker"))
    return lost


def _told(error: BaseException) -> str:
    """The error's class and SQLSTATE, never its text: a database's DETAIL prints row contents."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', '')}".strip()
