"""Named places where a process can be told to die, so that tests prove what a crash there leaves behind.

    crash_point("relay.after_confirms")

does nothing, in some tens of nanoseconds, unless the process was started with NEXUS_CRASH_AT="relay.after_confirms:2":
then the second pass ends it as kill -9 would, with status 137, nothing flushed and nothing closed. Names are literals:
the fault tests find them in the sources and sweep over all of them.
"""

from __future__ import annotations

import os

STATUS = 137

_armed = ""
_passes_left = 0


def arm(where: str) -> None:
    """`where` is "name:n", "name" (the first pass) or "" (never). Raises ValueError for anything else."""
    global _armed, _passes_left
    name, _, count = where.partition(":")
    if count and not (count.isdecimal() and int(count) > 0):
        raise ValueError(f"NEXUS_CRASH_AT: expected name:n with n from 1, got {where!r}")
    _armed, _passes_left = name, int(count or 1)


def crash_point(name: str) -> None:
    """The process may end here."""
    if _armed and name == _armed:
        _pass()


def _pass() -> None:
    global _passes_left
    _passes_left -= 1
    if _passes_left == 0:
        os.write(2, f"crash point {_armed}\n".encode())
        os._exit(STATUS)
