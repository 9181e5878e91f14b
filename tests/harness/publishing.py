"""Publishers as other systems write them, with nothing of our client: AMQP one by one, AMQP in batches, HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from itertools import count, cycle
from typing import Any, Protocol

import aio_pika
import httpx
import orjson
from aio_pika.abc import AbstractConnection, AbstractExchange
from tests.harness.ledger import Ledger

from nexus_shared.envelope import BATCH, STRUCTURED, Event
from nexus_shared.lanes import lane_of
from nexus_shared.testing.builders import a_lead_created

SUBJECTS_PER_WRITER = 40

# A broker that is away is what these tests are about: not worth a line at every try.
for noisy in ("aiormq", "aio_pika", "httpx"):
    logging.getLogger(noisy).setLevel(logging.CRITICAL)


class Channel(Protocol):
    """A way in. Sends events, tells the ledger what was confirmed or refused, and returns those; never raises for what
    is away: then nothing is returned, and the caller sends the same events again.
    """

    async def send(self, events: Sequence[Event], ledger: Ledger) -> Sequence[Event]: ...

    async def close(self) -> None: ...


class AmqpChannel:
    """Persistent, mandatory, confirmed. `batches`: all events of a call in one message."""

    def __init__(self, url: str, *, batches: bool = False, timeout: float = 5.0) -> None:
        self._url, self._batches, self._timeout = url, batches, timeout
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None

    async def send(self, events: Sequence[Event], ledger: Ledger) -> Sequence[Event]:
        parts = [list(events)] if self._batches else [[event] for event in events]
        try:
            async with asyncio.timeout(self._timeout):
                exchange = await self._open()
                answers = await asyncio.gather(
                    *(exchange.publish(*self._message(part), mandatory=True) for part in parts),
                    return_exceptions=True,
                )
        except Exception:
            await self.close()
            return []
        done = [part for part, answer in zip(parts, answers, strict=True) if not _failed(answer)]
        if len(done) < len(parts):
            await self.close()  # what is still under way on this channel will never be known
        settled = [event for part in done for event in part]
        ledger.confirm(settled)
        return settled

    def _message(self, part: Sequence[Event]) -> tuple[aio_pika.Message, str]:
        first = part[0]
        body = (
            b"[" + b",".join(event.to_json() for event in part) + b"]" if self._batches else first.to_json()
        )
        message = aio_pika.Message(
            body,
            content_type=BATCH if self._batches else STRUCTURED,
            message_id=first.id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        return message, f"{first.tenantid}.{'batch' if self._batches else first.type}"

    async def _open(self) -> AbstractExchange:
        if self._exchange is None:
            self._connection = await aio_pika.connect(f"{self._url}?heartbeat=5", timeout=self._timeout)
            channel = await self._connection.channel(on_return_raises=True)
            self._exchange = await channel.get_exchange("nexus.inbound", ensure=False)
        return self._exchange

    async def close(self) -> None:
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2):
                    await connection.close()


class HttpChannel:
    """POST /v1/events in batches, to each of `urls` in turn; 202 and a verdict per event."""

    def __init__(self, urls: Sequence[str], token: str) -> None:
        self._urls = cycle(urls)
        self._client = httpx.AsyncClient(timeout=10, headers={"Authorization": f"Bearer {token}"})

    async def send(self, events: Sequence[Event], ledger: Ledger) -> Sequence[Event]:
        body = orjson.dumps([event.as_dict() for event in events])
        try:
            answer = await self._client.post(
                f"{next(self._urls)}/v1/events", content=body, headers={"Content-Type": BATCH}
            )
        except httpx.HTTPError:
            return []
        if answer.status_code in (429, 500, 502, 503, 504):
            return []
        results = answer.json().get("results") if answer.status_code == 202 else [answer.text] * len(events)
        for event, result in zip(events, results, strict=True):
            if answer.status_code == 202 and result["status"] in ("stored", "duplicate"):
                ledger.confirm([event])
            else:
                ledger.refuse(event, str(result))
        return events

    async def close(self) -> None:
        await self._client.aclose()


class Writer:
    """One system of one tenant. Sends groups of events, each of another subject, and goes on when all are confirmed."""

    def __init__(
        self, ledger: Ledger, channel: Channel, tenant_id: str, number: int, *, group: int = 10
    ) -> None:
        self._ledger, self._channel, self._tenant_id = ledger, channel, tenant_id
        self._number, self._group = number, group
        self._counter = count()
        self.beside: int | None = None
        """A lane to leave alone."""

    def events(self, amount: int) -> list[Event]:
        """The next events, each of another subject; `number` makes writers' subjects and ids their own."""
        made: list[Event] = []
        while len(made) < amount:
            place = next(self._counter)
            person = self._number * SUBJECTS_PER_WRITER + place % SUBJECTS_PER_WRITER
            if self.beside is None or self.beside != lane_of(self._tenant_id, f"lead/lead-{person}"):
                id = f"{self._tenant_id}-w{self._number}-{place}"
                made.append(a_lead_created(number=person, id=id, tenantid=self._tenant_id))
        return made

    async def publish(self, amount: int, *, within: float = 60.0) -> list[Event]:
        """Sends that many and returns them when all are confirmed; TimeoutError when they are not."""
        sent: list[Event] = []
        async with asyncio.timeout(within):
            while len(sent) < amount:
                group = self.events(min(self._group, amount - len(sent)))
                await self.send(group)
                sent += group
        return sent

    async def send(self, group: Sequence[Event]) -> None:
        """These events, until all are confirmed."""
        self._ledger.attempt(group)
        await self._until_confirmed(group)

    async def run(self, stopping: asyncio.Event, *, per_second: float, patience: float = 45.0) -> None:
        """Publishes until `stopping`; what is unconfirmed then is tried for `patience` seconds more."""
        while not stopping.is_set():
            group = self.events(self._group)
            self._ledger.attempt(group)
            sending = asyncio.ensure_future(self._until_confirmed(group))
            await _either(sending, stopping)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(sending, patience)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._group / per_second)

    async def _until_confirmed(self, group: Sequence[Event]) -> None:
        left = list(group)
        while left:
            settled = {event.id for event in await self._channel.send(left, self._ledger)}
            left = [event for event in left if event.id not in settled]
            self._ledger.unconfirmed_publishes += len(left)
            if left:
                await asyncio.sleep(0.2)

    async def close(self) -> None:
        await self._channel.close()


def _failed(answer: object) -> bool:
    return isinstance(answer, BaseException)


async def _either(sending: asyncio.Future[Any], stopping: asyncio.Event) -> None:
    stop: asyncio.Future[Any] = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({sending, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
