"""The supervisor as a background process: `python -m nexus_cli.launcher.background DIRECTORY REPORTS`.

It writes what it does as JSON lines to the file descriptor REPORTS until everything is ready, then closes it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nexus_cli.launcher.installation import Installation
from nexus_cli.launcher.supervisor import Supervisor
from nexus_cli.outcomes import CommandFailed, Exit
from nexus_shared.errors import NexusError
from nexus_shared.testing.processes import ServerNotFit


class Reports:
    """A reporter for the process that waits for us, and for our log file."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.tell("step", what, seconds=time.monotonic() - started)

    def say(self, text: str) -> None:
        self.tell("say", text)

    def warn(self, text: str) -> None:
        self.tell("warn", text)

    def tell(self, kind: str, text: str, **more: object) -> None:
        line = json.dumps({"kind": kind, "text": text, **more}, ensure_ascii=False)
        print(line, flush=True)
        with suppress(ValueError, BrokenPipeError):  # nobody waits any more
            print(line, file=self._file, flush=True)

    def ready(self) -> None:
        self.tell("ready", "")
        self._file.close()


def main(directory: str, descriptor: str) -> int:
    reports = Reports(int(descriptor))
    try:
        asyncio.run(Supervisor(Installation(Path(directory)), reports).run(reports.ready))
    except CommandFailed as failure:
        reports.tell("failed", str(failure), advice=failure.advice, code=failure.exit_code)
        return failure.exit_code
    except (ServerNotFit, NexusError) as failure:
        code = Exit.NOT_FIT if isinstance(failure, ServerNotFit) else Exit.FAILED
        reports.tell("failed", str(failure), advice="", code=code)
        return code
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
