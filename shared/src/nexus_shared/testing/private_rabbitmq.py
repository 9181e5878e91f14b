"""A RabbitMQ node in a directory of our own: its own cookie, epmd, ports and configuration, on loopback only.

Nothing of the system's node is read or touched; /usr/sbin/rabbitmq-server is a wrapper around that one, so the
scripts of the package's library directory are run instead.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus_shared import topology
from nexus_shared.testing.processes import (
    LOOPBACK,
    Account,
    ServerNotFit,
    answers,
    is_alive,
    is_ours,
    read_pid,
    reap,
    wait_for_start,
    wait_until,
)

START_SECONDS = 60
STOP_SECONDS = 60
PLACES = (
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/rabbitmq*/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
)

Definitions = Mapping[str, Any]
"""The broker's definitions as JSON: users, vhosts, permissions, exchanges, queues, bindings, policies."""


@dataclass(frozen=True)
class NodePorts:
    amqp: int
    distribution: int
    epmd: int


def scripts() -> Path | None:
    """The directory with the package's own scripts, the newest version's."""
    found = [path for pattern in PLACES for path in Path("/").glob(pattern.lstrip("/"))]
    return sorted(found)[-1] if found else None


def with_admin(layout: Definitions, password: str) -> dict[str, Any]:
    """The definitions with the admin user in them and its rights on every vhost they name."""
    vhosts = sorted({"/"} | {vhost["name"] for vhost in layout.get("vhosts", ())})
    everything = {"user": topology.ADMIN, "configure": ".*", "write": ".*", "read": ".*"}
    others = [grant for grant in layout.get("permissions", ()) if grant["user"] != topology.ADMIN]
    admins = topology.definitions(passwords={topology.ADMIN: password})["users"]
    return {
        **layout,
        "vhosts": [{"name": name} for name in vhosts],
        "users": [user for user in layout.get("users", ()) if user["name"] != topology.ADMIN] + admins,
        "permissions": others + [{**everything, "vhost": vhost} for vhost in vhosts],
    }


class PrivateRabbitMQ:
    """One node: its data, log, cookie and configuration are below `directory`. The admin user is `nexus-admin`."""

    def __init__(self, directory: Path, account: Account) -> None:
        self.directory = directory
        self.log = directory / "node.out"
        self._account = account

    @property
    def pid(self) -> int | None:
        """The node's process id while it runs."""
        pid = read_pid(self.directory / "node.pid")
        return pid if is_ours(pid, self.directory) else None

    def start(self, name: str, ports: NodePorts, password: str) -> None:
        """Start the node; returns when it accepts AMQP connections and has loaded its definitions."""
        if self.pid and wait_until(lambda: answers(ports.amqp), START_SECONDS):
            return
        program = self._script("rabbitmq-server")
        self._configure(ports, password)
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [program],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(name, ports),
                cwd=self.directory,
                start_new_session=True,
                **self._account.popen,
            )
        wait_for_start("RabbitMQ", lambda: answers(ports.amqp) and self.pid, START_SECONDS, process, self.log)
        # The node outlives this object on purpose: without this, forgetting the object would be a ResourceWarning.
        process.returncode = 0

    def stop(self, name: str, ports: NodePorts) -> None:
        """Orderly stop of the broker, then of its epmd."""
        self._end(signal.SIGTERM)
        if answers(ports.epmd) and (epmd := shutil.which("epmd")):
            # Only after the node is gone: epmd refuses to leave while a node is registered.
            subprocess.run([epmd, "-kill"], env=self._environment(name, ports), capture_output=True)

    def kill(self) -> None:
        """kill -9: what was not yet on disk is lost."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the node where it is: connections stay open, nothing is confirmed."""
        if pid := self.pid:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if pid := self.pid:
            os.kill(pid, signal.SIGCONT)

    def load_at_start(self, layout: Definitions, password: str) -> None:
        """Keep definitions that every start of the node loads; the admin user is put into them."""
        self._account.make_directories(self.directory)
        text = json.dumps(with_admin(layout, password), indent=1)
        self._account.write(self.directory / "definitions.json", text)

    def import_definitions(self, layout: Definitions, name: str, ports: NodePorts, password: str) -> None:
        """Add to the running node what the definitions name; takes about 3 s (rabbitmqctl)."""
        file = self.directory / f"import-{secrets.token_hex(4)}.json"
        self._account.write(file, json.dumps(with_admin(layout, password)))
        try:
            self.control("import_definitions", str(file), name=name, ports=ports)
        finally:
            file.unlink()

    def control(self, *arguments: str, name: str, ports: NodePorts) -> str:
        """Run rabbitmqctl against this node; its output."""
        done = subprocess.run(
            [self._script("rabbitmqctl"), "--quiet", *arguments],
            env=self._environment(name, ports),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            **self._account.popen,
        )
        if done.returncode:
            raise ServerNotFit(
                f"rabbitmqctl {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def _end(self, number: signal.Signals) -> None:
        # Read first: the pid file goes away before the process does.
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, number)
        self.thaw()
        stopped = wait_until(lambda: not is_alive(pid), STOP_SECONDS)
        reap(pid)
        if not stopped:
            raise ServerNotFit(f"RabbitMQ (process {pid}) did not stop within {STOP_SECONDS} s.")

    def _script(self, name: str) -> Path:
        if found := scripts():
            return found / name
        raise ServerNotFit(
            "RabbitMQ is not installed: apt-get install rabbitmq-server (Debian, Ubuntu) or brew install rabbitmq."
        )

    def _configure(self, ports: NodePorts, password: str) -> None:
        here, write = self.directory, self._account.write
        self._account.make_directories(here, here / "home", here / "log", here / "mnesia")
        write(here / "env.conf", "")
        write(here / "enabled_plugins", "[].\n")
        write(here / "node.out", "")
        definitions = here / "definitions.json"
        users = (
            f"load_definitions = {definitions}\n"
            if definitions.exists()
            else f"default_user = {topology.ADMIN}\ndefault_pass = {password}\n"
        )
        write(
            here / "rabbitmq.conf",
            f"listeners.tcp.1 = {LOOPBACK}:{ports.amqp}\n{users}"
            "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 200MB\n"
            # The default of 512 MB for the quorum queues' log is half the memory allowed above.
            "raft.wal_max_size_bytes = 134217728\n"
            "log.console = false\nlog.file = rabbit.log\n",
        )
        (here / "node.pid").unlink(missing_ok=True)

    def _environment(self, name: str, ports: NodePorts) -> dict[str, str]:
        here = self.directory
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))
        }
        return inherited | {
            "HOME": str(here / "home"),  # the Erlang cookie is made here
            "RABBITMQ_NODENAME": f"{name}@localhost",
            "RABBITMQ_DIST_PORT": str(ports.distribution),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(here / "schema"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(here / "feature_flags"),
            "RABBITMQ_PID_FILE": str(here / "node.pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "env.conf"),  # otherwise the system's is read
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
            "ERL_EPMD_PORT": str(ports.epmd),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            # The distribution would listen on every address; busy waiting would take the cores of the services.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }
