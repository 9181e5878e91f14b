"""The demo's course: triggers and receiver, then events through RabbitMQ, then what is left."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx
from rich.console import Console

from nexus_cli.api import Api
from nexus_cli.demonstration import show, triggers
from nexus_cli.demonstration.board import Board
from nexus_cli.demonstration.receiver import Receiver
from nexus_cli.demonstration.scenario import SOURCE, events, expected_trigger
from nexus_cli.launcher.installation import DEMO_RECEIVER, DEMO_RECEIVER_PORT, DEMO_TENANT, Installation
from nexus_cli.live_events import STREAM, SseParser, Update
from nexus_shared.client import NexusPublisher
from nexus_shared.envelope import Event
from nexus_shared.outbound.signing import new_secret

LATE_SECONDS = 15.0
FIRED = "automation.trigger_fired"


def run(installation: Installation, *, count: int, rate: float, as_json: bool) -> int:
    """Publish `count` events (0: until Ctrl-C), `rate` a second; how many steps did not happen in time."""
    installation.require_running()
    console = Console(highlight=False, soft_wrap=True, quiet=as_json)
    key, secret = installation.secrets().demo_key, new_secret()
    board = Board()
    receiver = Receiver(
        installation.memory().ports.get(DEMO_RECEIVER, DEMO_RECEIVER_PORT),
        secret,
        lambda event, at: board.delivered(event["id"], int(event.get("sequence", 0)), at),
    )
    amqp_url = installation.demo_amqp_url()
    show.introduction(console, receiver.url, amqp_url.rsplit("@", 1)[1])
    with triggers.published(Api(installation.url_of("trigger-processor"), key), receiver.url, secret):
        course = Course(board, receiver, amqp_url, Api(installation.url_of("ingest"), key), console)
        asyncio.run(course.play(count, rate))
    summary, late = board.summary(), board.open
    if as_json:
        print(json.dumps(summary))
    show.conclusion(console, summary, late)
    return len(late) + receiver.refused


class Course:
    """Publishes, listens to the live feed, and shows each event once its way is complete."""

    def __init__(self, board: Board, receiver: Receiver, amqp_url: str, api: Api, console: Console) -> None:
        self._board, self._receiver, self._amqp_url = board, receiver, amqp_url
        self._api, self._console = api, console
        self._stopping = asyncio.Event()
        self._connected = asyncio.Event()

    async def play(self, count: int, rate: float) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._stopping.set)
        async with self._receiver, NexusPublisher(self._amqp_url, DEMO_TENANT, SOURCE) as publisher:
            listening = asyncio.create_task(self._listen())
            showing = asyncio.create_task(self._show())
            try:
                await self._until_heard(listening)
                await self._publish(publisher, _some(count), rate)
                await self._wait_for_the_rest()
            finally:
                for task in (listening, showing):
                    task.cancel()
                await asyncio.gather(listening, showing, return_exceptions=True)
                self._show_complete()

    async def _until_heard(self, listening: asyncio.Task[None]) -> None:
        """Wait for the live feed, so that no event passes unseen. Raises what it failed with."""
        connected = asyncio.create_task(self._connected.wait())
        await asyncio.wait({connected, listening}, timeout=LATE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        connected.cancel()
        if listening.done():
            listening.result()

    async def _publish(self, publisher: NexusPublisher, stream: Iterator[Event], rate: float) -> None:
        for event in stream:
            trigger = expected_trigger(event)
            self._board.published(event, trigger.name if trigger else None, time.monotonic())
            await publisher.publish(event)
            if await self._stopped_within(1 / rate):
                return

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _wait_for_the_rest(self) -> None:
        deadline = time.monotonic() + LATE_SECONDS
        while self._board.open and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    async def _show(self) -> None:
        while True:
            self._show_complete()
            await asyncio.sleep(0.05)

    def _show_complete(self) -> None:
        for card in self._board.newly_complete():
            self._console.print(show.line(card))

    async def _listen(self) -> None:
        """What the live feed tells: our events as they are recorded, and the triggers they fire."""
        parser = SseParser()
        while True:
            try:
                async with self._api.stream_async(STREAM, parser.last_id) as lines:
                    self._connected.set()
                    async for line in lines:
                        if update := parser.feed(line):
                            self._heard(update)
            except httpx.TransportError:
                await asyncio.sleep(0.5)

    def _heard(self, update: Update) -> None:
        event: dict[str, Any] = update.event
        if event["type"] == FIRED:
            self._board.fired(str(event.get("causationid")))
        else:
            self._board.recorded(event["id"], int(update.id), time.monotonic())


def _some(count: int) -> Iterator[Event]:
    return islice(events(DEMO_TENANT), count or None)
