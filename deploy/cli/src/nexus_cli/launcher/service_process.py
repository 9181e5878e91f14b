"""One service as a process: started, watched, started again with growing pauses, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nexus_cli.launcher.registry import ServiceEntry

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
LARGEST_OLD_LOG_BYTES = 10_000_000


@dataclass
class ServiceProcess:
    """`log` takes what the process writes; it runs in `directory`, in a session of its own."""

    entry: ServiceEntry
    environment: Mapping[str, str]
    directory: Path
    log: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    failures: int = field(default=0, init=False)
    _started_at: float = field(default=0.0, init=False)
    _start_at: float = field(default=0.0, init=False)

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_OLD_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [self.entry.program],
                env=dict(self.environment),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the launcher alone, which stops things in order
            )
        self._started_at = time.monotonic()

    def ended(self) -> int | None:
        """The exit status, once, when the process ended by itself; the next start is then due after a pause."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        if time.monotonic() - self._started_at > STEADY_SECONDS:
            self.failures = 0
        self.failures += 1
        self._start_at = time.monotonic() + self.pause
        self.process = None
        return status

    @property
    def pause(self) -> float:
        """Seconds until the next start: 1, 2, 4 … 30."""
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (self.failures - 1))

    @property
    def is_due(self) -> bool:
        return self.process is None and time.monotonic() >= self._start_at

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if pid := self.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
