"""Where time goes: in processes by py-spy if it is installed, in PostgreSQL by its statements.

Both cost something (a few percent), so figures of a profiled run are not for comparing.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import statements
from benchmarks.processes import Process

RATE = 200
SHOWN = 30
_IDLE = "(threading.py"  # a worker thread that waits for work
_LINE = re.compile(r":\d+\)$")


class Profiler:
    """Nothing unless wanted. Stacks are kept in `directory`, one file per measurement and process."""

    def __init__(self, directory: Path, console: Console, *, is_wanted: bool) -> None:
        self.is_wanted = is_wanted
        self._program = shutil.which("py-spy") if is_wanted else None
        self._directory, self._console = directory, console
        if is_wanted and self._program is None:
            console.print("[yellow]--profile: there is no py-spy on the PATH: only SQL is profiled[/]")

    @asynccontextmanager
    async def watching(self, name: str, admin: statements.Admin, *processes: Process) -> AsyncIterator[None]:
        """Samples the processes and counts the SQL of what happens meanwhile; shows both at the end."""
        if not self.is_wanted:
            yield
            return
        await statements.reset(admin)
        with ExitStack() as sampling:
            for process in processes:
                sampling.enter_context(self._sampling(f"{name}-{process.name}", process.pid))
            yield
        self._console.print(await statements.top(admin, name))

    @contextmanager
    def _sampling(self, name: str, pid: int) -> Iterator[None]:
        if self._program is None:
            yield
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        stacks = self._directory / f"{name}.txt"
        command = [self._program, "record", "--pid", str(pid), "--rate", str(RATE), "--format", "raw"]
        sampler = subprocess.Popen(
            [*command, "--output", str(stacks)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            sampler.send_signal(signal.SIGINT)
            sampler.wait(60)
            self._show(name, stacks)

    def _show(self, name: str, stacks: Path) -> None:
        if not stacks.exists():
            self._console.print(f"[yellow]py-spy saw nothing of {name}[/]")
            return
        alone, within, total = count(stacks.read_text())
        table = Table(title=f"profile of {name}: {total} samples, {stacks}", title_justify="left")
        for heading in ("self", "line", "with callees", "function"):
            table.add_column(heading, justify="left", overflow="fold")
        for (own, own_count), (whole, whole_count) in zip(
            alone.most_common(SHOWN), within.most_common(SHOWN), strict=False
        ):
            table.add_row(f"{own_count / total:.1%}", own, f"{whole_count / total:.1%}", whole)
        self._console.print(table)


def count(stacks: str) -> tuple[Counter[str], Counter[str], int]:
    """Folded stacks (`outer;inner 12` a line) -> samples by innermost line, by any function on the stack, in all."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        if _IDLE in frames[-1]:
            continue
        alone[frames[-1]] += int(samples)
        for function in {_LINE.sub(")", frame) for frame in frames}:
            within[function] += int(samples)
    return alone, within, alone.total()
