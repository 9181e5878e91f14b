"""How a command ends: exit codes, and failures as a sentence and what to do."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FIT = 3


class CommandFailed(Exception):
    """The command could not do what was asked; `str()` says why, `advice` what to do."""

    exit_code: ClassVar[Exit] = Exit.FAILED

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.advice = advice


class EnvironmentNotFit(CommandFailed):
    """This machine or this checkout cannot do it as it is."""

    exit_code = Exit.NOT_FIT


class NotRunning(CommandFailed):
    """A command needs the running system."""

    def __init__(self, directory: object) -> None:
        super().__init__(f"Nexus is not running from {directory}.", "Start it with: nexus up")
