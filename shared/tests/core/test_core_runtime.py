"""A service as a process: everything starts in order, and on a signal ends in order with nothing cut off."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from nexus_shared.testing.processes import free_port

pytestmark = pytest.mark.integration

STAGE = Path(__file__).with_name("service_on_stage.py")
STARTED = ["database opened", "broker opened"]
WORKED = [*STARTED, "reader runs", "reader finished its batch"]
CLOSED = ["broker closed", "database closed"]


class Stage:
    """The process, and the lines it tells."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.url = process, f"http://127.0.0.1:{port}/"
        self.lines: list[str] = []

    async def told(self, line: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while line not in self.lines:
                read = await self.process.stdout.readline()
                assert read, f"it ended without saying {line!r}: {self.lines}"
                self._take(read.decode())

    async def ended(self) -> tuple[int, list[str]]:
        """The status, and everything it told."""
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            rest = await self.process.stdout.read()
            status = await self.process.wait()
        for line in rest.decode().splitlines():
            self._take(line)
        return status, self.lines

    def _take(self, line: str) -> None:
        """Log lines are printed as well."""
        if line.startswith("> "):
            self.lines.append(line.removeprefix("> ").strip())


@asynccontextmanager
async def on_stage(*wrong: str) -> AsyncIterator[Stage]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(STAGE), str(port), *wrong, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield Stage(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_everything_in_order_and_finishes_what_is_in_hand(signum: signal.Signals) -> None:
    async with on_stage() as stage:
        await stage.told("reader runs")
        async with httpx.AsyncClient() as client:
            assert (await client.get(stage.url + "health/live")).status_code == 200
        stage.process.send_signal(signum)
        assert await stage.ended() == (0, [*WORKED, "resigned", "resigned", *CLOSED, "ended"])


async def test_a_step_of_stopping_that_fails_keeps_none_of_the_others_from_being_done() -> None:
    async with on_stage("stopping", "fails") as stage:
        await stage.told("reader runs")
        stage.process.send_signal(signal.SIGTERM)
        assert await stage.ended() == (0, [*WORKED, "resigned", *CLOSED, "ended"])


@pytest.mark.parametrize("what", ["ends", "fails"])
async def test_a_loop_that_ends_by_itself_ends_the_process_with_an_error(what: str) -> None:
    async with on_stage("reader", what) as stage:
        status, lines = await stage.ended()
    assert status != 0, "the supervisor starts it again"
    assert lines == [*STARTED, "reader runs", "resigned", "resigned", *CLOSED]


async def test_a_service_that_still_waits_for_its_database_ends_when_told() -> None:
    async with on_stage("broker", "does", "not", "open") as stage:
        await stage.told("broker waits")
        stage.process.send_signal(signal.SIGTERM)
        status, lines = await stage.ended()
    assert (status, lines) == (0, ["database opened", "broker waits", *CLOSED, "ended"])


async def test_what_no_waiting_can_mend_ends_the_process_with_an_error_and_closes_what_was_open() -> None:
    async with on_stage("broker", "fails") as stage:
        status, lines = await stage.ended()
    assert status != 0
    assert lines == ["database opened", "database closed"]
