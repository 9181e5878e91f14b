"""A crash at every named point of both services: what was in hand is finished once, whoever finishes it."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import aio_pika
import pytest
from tests.harness.losses import losing_frames
from tests.harness.programs import ServiceProgram
from tests.harness.publishing import Writer
from tests.harness.stack import INGEST, PROCESSOR, TENANTS, Stack

import nexus_ingest
import nexus_shared
import nexus_trigger_processor
from nexus_shared.crashpoints import STATUS
from nexus_shared.envelope import STRUCTURED
from nexus_shared.topology import LANES, inbound_key

pytestmark = pytest.mark.faults

PACKAGES = {INGEST: nexus_ingest, PROCESSOR: nexus_trigger_processor}
SHARED = {
    INGEST: ("reader",),
    PROCESSOR: ("reader", "outbox"),
}
"""Points in shared code are named after their part; these are the parts each service uses."""


def points_in(package: ModuleType) -> Iterator[str]:
    """The literal names of all crash points in a package's sources."""
    for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "crash_point":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path.name}: the name must be a literal"
                yield str(name.value)


def points_of(service: str) -> list[str]:
    shared = [name for name in points_in(nexus_shared) if name.partition(".")[0] in SHARED[service]]
    return sorted({*points_in(PACKAGES[service]), *shared})


def test_every_crash_point_belongs_to_the_sweep() -> None:
    parts = {part for parts in SHARED.values() for part in parts}

    assert {name.partition(".")[0] for name in points_in(nexus_shared)} == parts
    assert all(len(points_of(service)) >= 8 for service in PACKAGES)


async def test_a_crash_at_any_point_loses_and_doubles_nothing(stack: Stack) -> None:
    """Both services at a time: it takes half as long, and a crash may meet a crash."""
    await asyncio.gather(*(sweep(stack, name) for name in PACKAGES))

    await stack.settle()


async def sweep(stack: Stack, name: str) -> None:
    service, work = stack.service(name), Work(stack)
    await service.stop()
    for point in points_of(name):
        service.start(NEXUS_CRASH_AT=point)
        await work.until_crash(service, point)
    service.start()
    await service.ready()


class Work:
    """One of everything a service may be asked to do, again and again until it dies of it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._amqp = stack.writer(TENANTS[0], group=1)
        self._http = stack.writer(TENANTS[1], "http", group=1)
        self._unfit = 0

    async def until_crash(self, service: ServiceProgram, point: str) -> None:
        """Work goes on until the service has ended; AssertionError when it ended otherwise, or not at all."""
        rounds = asyncio.create_task(self._rounds(point))
        try:
            status = await service.exit_status(within=40, at=point)
        finally:
            rounds.cancel()
            await asyncio.gather(rounds, return_exceptions=True)
        assert status == STATUS, f"{point}: ended with {status}\n{service.end_of_log()}"

    async def _rounds(self, point: str) -> None:
        while True:
            await self._publish(point)
            await asyncio.sleep(1)

    async def _publish(self, point: str) -> None:
        part = point.partition(".")[0]
        if part == "http":
            await self._confirmed_later(self._http)
        elif point == "record.after_quarantine":
            await self._publish_unfit()
        elif part in ("resend", "holes"):
            async with losing_frames(self._stack.vhost.url, range(LANES)):
                await self._confirmed_later(self._amqp)
                await asyncio.sleep(1)
        else:
            await self._confirmed_later(self._amqp)

    async def _confirmed_later(self, writer: Writer) -> None:
        """Sends one event and does not wait for the confirm, which may come after the crash."""
        asyncio.get_running_loop().create_task(writer.publish(1, within=90))

    async def _publish_unfit(self) -> None:
        self._unfit += 1
        async with await aio_pika.connect(self._stack.publisher_url(TENANTS[0])) as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange("nexus.inbound", ensure=False)
            message = aio_pika.Message(b"not JSON %d" % self._unfit, content_type=STRUCTURED)
            await exchange.publish(message, inbound_key(TENANTS[0], "lead.created"))
