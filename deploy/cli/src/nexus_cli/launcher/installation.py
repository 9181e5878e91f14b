"""One installation on this machine: its directory and everything that is found in it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nexus_cli.launcher.memory import Memory
from nexus_cli.launcher.places import default_directory
from nexus_cli.launcher.registry import ServiceEntry, installed
from nexus_cli.launcher.secrets import ClientLogin, Secrets, SecretsFile, find_client
from nexus_cli.outcomes import EnvironmentNotFit, NotRunning
from nexus_shared import topology
from nexus_shared.ids import TenantId
from nexus_shared.testing.servers import PrivateServers

DATABASE = "nexus"
DEMO_TENANT = TenantId("clinica-demo")
DEMO_PUBLISHER = "demo"
DEMO_RECEIVER = "demo-receiver"
DEMO_RECEIVER_PORT = 7099


class Installation:
    """`notice` is what a person should know about the choice of the directory; usually nothing."""

    def __init__(self, directory: Path | None) -> None:
        chosen, self.notice = (directory, "") if directory else default_directory()
        self.directory = chosen.absolute()
        self.services = installed()
        self._secrets = SecretsFile(self.directory / "secrets.json")
        self._memory = self.directory / "launcher.json"
        self.servers = PrivateServers(self.directory / "servers")

    @property
    def exists(self) -> bool:
        return self._secrets.path.exists()

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def prepare(self) -> None:
        """Make the directory; other accounts can pass through it, and read nothing in it."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.directory.chmod(0o711)
            self.logs.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise EnvironmentNotFit(
                f"{self.directory} cannot be written: {error.strerror}.", "Choose another one with --dir."
            ) from error

    def secrets(self) -> Secrets:
        return self._secrets.load()

    def change_secrets(self, change: Callable[[Secrets], Secrets]) -> Secrets:
        """Keep what `change` makes of the secrets; two commands at once wait for each other."""
        with (self.directory / "secrets.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            changed = change(self._secrets.load())
            self._secrets.save(changed)
        return changed

    def memory(self) -> Memory:
        return Memory.load(self._memory)

    def keep_memory(self, memory: Memory) -> None:
        memory.save(self._memory)

    @contextmanager
    def supervised(self) -> Iterator[bool]:
        """Hold the lock of the one process that watches over the services; False when another holds it."""
        with (self.directory / "supervisor.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @property
    def is_running(self) -> bool:
        """True while a supervisor holds the lock."""
        with suppress(OSError), self.supervised() as free:
            return not free
        return False

    def require_running(self) -> None:
        if not (self.exists and self.is_running):
            raise NotRunning(self.directory)

    def service(self, name: str) -> ServiceEntry:
        """Raises EnvironmentNotFit when this checkout does not have it."""
        for entry in self.services:
            if entry.name == name:
                return entry
        raise EnvironmentNotFit(
            f"The service {name} is not installed.", "Set the checkout up again: make setup"
        )

    def url_of(self, name: str) -> str:
        entry = self.service(name)
        return f"http://127.0.0.1:{self.memory().ports.get(name, entry.port)}"

    def working_directory_of(self, name: str) -> Path:
        """Where a service's process runs: how its pid is told from a stranger's."""
        return self.directory / "run" / name

    def database_url(self, role: str) -> str:
        """The address of the application's database for a role of a service."""
        password = self.secrets().passwords[f"db:{role}"]
        host = self.servers.urls.database.rsplit("@", 1)[1].split("/", 1)[0]
        return f"postgresql://{role}:{password}@{host}/{DATABASE}"

    def amqp_url(self, user: str, password: str) -> str:
        host = self.servers.urls.amqp.rsplit("@", 1)[1].split("/", 1)[0]
        return f"amqp://{user}:{password}@{host}/{topology.VHOST}"

    def demo_amqp_url(self) -> str:
        """The demo publisher's: it may publish for the demo clinic and nothing else."""
        demo = find_client(self.secrets(), "pub", DEMO_TENANT, DEMO_PUBLISHER)
        if demo is None:
            raise NotRunning(self.directory)
        return self.amqp_url(broker_client(demo).user, demo.password)


def broker_client(client: ClientLogin) -> topology.ClientUser:
    return topology.ClientUser(client.kind, TenantId(client.tenant_id), client.name, client.password)
