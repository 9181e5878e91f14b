"""Programs as processes of their own: started, killed, frozen, started again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

BIN = Path(sys.executable).parent
START_SECONDS = 60.0
STOP_SECONDS = 40.0


@dataclass
class Program:
    """What it writes to standard error goes to `log`. Nothing is inherited from our own NEXUS_ settings."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self, **settings: str) -> None:
        """`settings` are added to the environment of this start only."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=inherited | dict(self.environment) | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def kill(self) -> None:
        """kill -9; returns when the process is gone."""
        self._end(signal.SIGKILL)

    async def stop(self) -> int | None:
        """An orderly end, which proxies in this loop must not hold up; the exit status."""
        await asyncio.to_thread(self._end, signal.SIGTERM)
        return self.process.returncode if self.process is not None else None

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    async def exit_status(self, *, within: float, at: str = "") -> int:
        """Waits for the process to end by itself; AssertionError with the end of its log when it does not."""
        assert self.process is not None
        try:
            async with asyncio.timeout(within):
                while (status := self.process.poll()) is None:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"{self.name} still runs after {within:.0f} s {at}\n{self.end_of_log()}"
            ) from None
        return status

    def end_of_log(self, characters: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def _send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        self._send(number)
        self.thaw()
        if self.process is not None:
            self.process.wait(STOP_SECONDS)


@dataclass
class ServiceProgram(Program):
    """A service of ours, with its HTTP address."""

    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ready(self, *, within: float = START_SECONDS) -> None:
        """Returns when it answers that it is ready; AssertionError with the end of its log when it does not."""
        try:
            async with asyncio.timeout(within), httpx.AsyncClient(timeout=3) as client:
                while not await self._is_ready(client):
                    if not self.is_running:
                        raise AssertionError(f"{self.name} ended at its start\n{self.end_of_log()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(
                f"{self.name} is not ready after {within:.0f} s\n{self.end_of_log()}"
            ) from None

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.url}/health/ready")).status_code == 200
        except httpx.HTTPError:
            return False
