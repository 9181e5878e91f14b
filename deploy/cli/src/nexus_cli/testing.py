"""The whole system under test, driven through the command alone: for end-to-end tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NEXUS = Path(sys.executable).parent / "nexus"
PLACE = Path("/var/tmp")  # noqa: S108  (closed by the modes of what is in it; servers of another account can reach it)


class System:
    """An installation in `directory`. It is not started until `start`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def nexus(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command; `given` is its standard input."""
        return subprocess.run(
            [NEXUS, *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            input=given,
            timeout=120,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
        return inherited | {"NEXUS_DIR": str(self.directory)}

    def start(self) -> str:
        """Start everything, unless it runs; the page. Raises AssertionError with what the command said."""
        done = self.nexus("up", "--no-follow")
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def stop(self) -> None:
        self.nexus("down")

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.nexus("status", "--json").stdout)
        return found

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the services, and of the `supervisor` that watches over them."""
        kept = json.loads((self.directory / "launcher.json").read_text())
        return {**kept["pids"], "supervisor": kept["supervisor"]}


@contextmanager
def system_for_tests() -> Iterator[System]:
    """A system in a directory of its own, stopped and removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="nexus-test-", dir=PLACE))
    system = System(directory)
    try:
        yield system
    finally:
        system.stop()
        shutil.rmtree(directory, ignore_errors=True)
