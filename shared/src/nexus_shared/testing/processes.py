"""Processes and ports of this machine, seen through /proc and sockets."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

LOOPBACK = "127.0.0.1"
UNPRIVILEGED_ACCOUNTS = ("postgres", "rabbitmq", "nobody")


class ServerNotFit(RuntimeError):
    """A server cannot run here; the text says why and what to do."""


class PopenAccount(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Who the servers run as: PostgreSQL refuses root, so root borrows an unprivileged account that exists."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def of_servers(cls) -> Account:
        if os.geteuid() != 0:
            return cls()
        for name in UNPRIVILEGED_ACCOUNTS:
            with contextlib.suppress(KeyError):
                found = pwd.getpwnam(name)
                return cls(found.pw_uid, found.pw_gid)
        raise ServerNotFit(
            f"No unprivileged account ({', '.join(UNPRIVILEGED_ACCOUNTS)}) exists: create one."
        )

    @property
    def popen(self) -> PopenAccount:
        """Arguments for subprocess; empty when nothing changes."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, *paths: Path) -> None:
        if self.uid is not None and self.gid is not None:
            for path in paths:
                os.chown(path, self.uid, self.gid)

    def make_directories(self, *paths: Path) -> None:
        for path in paths:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.own(path)

    def write(self, path: Path, text: str) -> None:
        """Write a file that only the account can read."""
        write_private(path, text)
        self.own(path)


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only the owner can read it (0600)."""
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """True when somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.3)
        return probe.connect_ex((LOOPBACK, port)) == 0


def is_alive(pid: int | None) -> bool:
    """True while the process runs: a zombie does not, once its last thread has let go of ports and files."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        is_zombie = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        return not is_zombie or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def is_ours(pid: int | None, directory: Path) -> bool:
    """True when the process runs and works in `directory`: after a reboot a pid file may name a stranger."""
    if not pid or not is_alive(pid):
        return False
    if not Path("/proc/self").exists():
        return True
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink() == directory
    return False


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def signal_family(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and its children, the parent first."""
    for member in [pid, *children_of(pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, number)


def read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def reap(pid: int) -> None:
    """Collect the exit status of an ended child of ours, so that it does not stay as a zombie."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def is_working_directory(directory: Path) -> bool:
    """True while any process works in `directory`."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink() == directory:
                return True
    return False


def wait_until(is_so: Callable[[], Any], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.02)
    return bool(is_so())


def wait_for_start(
    name: str, is_up: Callable[[], Any], seconds: float, process: subprocess.Popen[bytes], log: Path
) -> None:
    """Wait until `is_up`; otherwise raise ServerNotFit with the end of the log."""
    if wait_until(lambda: is_up() or process.poll() not in (None, 0), seconds) and is_up():
        return
    raise ServerNotFit(f"{name} did not come up within {seconds:.0f} s.\n{tail(log)}")


def tail(log: Path, characters: int = 2000) -> str:
    return log.read_text(errors="replace")[-characters:] if log.exists() else ""
