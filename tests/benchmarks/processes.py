"""The processes under measurement, each with a log file of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from nexus_shared.testing.processes import LOOPBACK, tail

SCRIPTS = Path(sys.executable).parent
PACKAGE_HOME = Path(__file__).resolve().parents[1]
STOP_SECONDS = 60
START_SECONDS = 60


class MeasurementInvalid(RuntimeError):
    """What was measured is not what was meant: events are missing, or a process died. No figure is given."""


class Process:
    """A program from start to end of a `with` block; asked to stop with SIGTERM."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._command, self._environment = list(command), dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the benchmark alone, which stops things in order
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._started
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        return self._started.pid

    def check(self) -> None:
        """Raises MeasurementInvalid when the process has ended by itself."""
        if (status := self._started.poll()) is not None:
            raise MeasurementInvalid(f"{self.name} ended with status {status}.\n{tail(self.log)}")

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started"
        return self._process


class HttpProcess(Process):
    """A process that serves HTTP on `port`."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, port: int
    ) -> None:
        super().__init__(name, command, environment, log)
        self.url = f"http://{LOOPBACK}:{port}"

    async def ready(self, path: str = "/health/ready") -> None:
        """Returns when the service says it is ready."""
        async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:

            async def is_ready() -> bool:
                try:
                    return (await client.get(path)).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready, START_SECONDS, f"{self.name} to be ready", self, every=0.05)


def module_command(module: str, *arguments: str) -> list[str]:
    """Runs a module of this package in a process of its own; its environment needs `module_environment`."""
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def module_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {**environment, "PYTHONPATH": str(PACKAGE_HOME)}


async def answer_of(command: Sequence[str], environment: Mapping[str, str], given: object) -> Any:
    """Runs a program to its end: `given` as JSON on its standard input, its answer as JSON on standard output."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate(json.dumps(given).encode())
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise MeasurementInvalid(f"{command[2]} failed.\n{errors.decode()[-2000:]}")
    return json.loads(output)


async def until(
    is_so: Callable[[], Awaitable[bool]], seconds: float, what: str, *processes: Process, every: float
) -> None:
    """Waits; raises MeasurementInvalid after `seconds`, or when one of the processes ends."""
    end = time.monotonic() + seconds
    while not await is_so():
        for process in processes:
            process.check()
        if time.monotonic() > end:
            raise MeasurementInvalid(f"Waited {seconds:.0f} s in vain for {what}")
        await asyncio.sleep(every)
