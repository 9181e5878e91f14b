"""nexus down: through the supervisor, or without it when it is gone."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from nexus_cli.launcher.installation import Installation
from nexus_cli.launcher.supervisor import STOP_SECONDS, stop_leftovers
from nexus_cli.outcomes import CommandFailed
from nexus_shared.testing.processes import is_alive, wait_until


def down(installation: Installation) -> str:
    """What was done, as a sentence. Raises CommandFailed when something does not stop."""
    if not installation.exists:
        return f"Nothing was ever started from {installation.directory}."
    if installation.is_running:
        _ask_supervisor(installation)
        return "Stopped; the data is kept."
    left = stop_leftovers(installation)
    had_servers = installation.servers.postgres_pid or installation.servers.rabbitmq_pid
    installation.servers.down()
    if left or had_servers:
        return "Stopped what an ended launcher had left running; the data is kept."
    return "Nothing was running."


def _ask_supervisor(installation: Installation) -> None:
    pid = installation.memory().supervisor
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: not (installation.is_running or is_alive(pid)), STOP_SECONDS * 2):
        raise CommandFailed(
            f"The launcher (process {pid}) does not stop.", f"Its log: {installation.logs / 'launcher.log'}"
        )
