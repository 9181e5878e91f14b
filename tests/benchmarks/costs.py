"""What processes cost, from /proc: a rate wanders with the machine's other work, CPU per event hardly does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from nexus_shared.testing.processes import children_of

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 when it is gone."""
    return _seconds(pid, with_ended_children=False)


def family_cpu_seconds(pid: int) -> float:
    """The same of a process and its children, those that have ended included: PostgreSQL is many processes."""
    return _seconds(pid, with_ended_children=True) + sum(cpu_seconds(child) for child in children_of(pid))


def _seconds(pid: int, *, with_ended_children: bool) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(int(ticks) for ticks in fields[11 : 15 if with_ended_children else 13]) / TICKS
    return 0.0


def rss_mb(pid: int) -> float:
    """Resident memory (VmRSS) in MB of 2^20 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def load_average() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


class CpuMeter:
    """CPU seconds by name since the last `restart`."""

    def __init__(self, readings: Mapping[str, Callable[[], float]]) -> None:
        self._readings = dict(readings)
        self.restart()

    def restart(self) -> None:
        self._since = self._read()

    def spent(self) -> dict[str, float]:
        return {name: value - self._since[name] for name, value in self._read().items()}

    def per_event(self, events: int) -> dict[str, float]:
        """Microseconds of CPU per event, by name."""
        return {name: seconds / events * 1e6 for name, seconds in self.spent().items()}

    def _read(self) -> dict[str, float]:
        return {name: reading() for name, reading in self._readings.items()}
