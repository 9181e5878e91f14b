"""Private PostgreSQL and RabbitMQ below one directory, without Docker: for development, tests and fault tests.

Nothing outside the directory is touched: no account is created, the system's servers are not used, every socket
listens on 127.0.0.1. Ports and passwords are chosen once and kept in `servers.json` (0600), so a second start finds
the same addresses and the same data.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from nexus_shared import topology
from nexus_shared.testing.private_postgres import SUPERUSER, PrivatePostgres
from nexus_shared.testing.private_rabbitmq import Definitions, NodePorts, PrivateRabbitMQ
from nexus_shared.testing.processes import LOOPBACK, Account, ServerNotFit, answers, free_port, write_private

__all__ = ["PrivateServers", "ServerNotFit", "ServerUrls"]


@dataclass(frozen=True)
class ServerUrls:
    """Addresses with administrator rights: `database` of PostgreSQL, `amqp` of RabbitMQ's vhost "/"."""

    database: str
    amqp: str

    def amqp_of(self, vhost: str) -> str:
        return self.amqp.rsplit("/", 1)[0] + "/" + quote(vhost, safe="")

    def database_of(self, name: str) -> str:
        return self.database.rsplit("/", 1)[0] + "/" + quote(name, safe="")


@dataclass(frozen=True)
class State:
    """What is chosen once and kept."""

    postgres_port: int = 0
    amqp_port: int = 0
    distribution_port: int = 0
    epmd_port: int = 0
    node: str = field(default_factory=lambda: f"nexus-{secrets.token_hex(4)}")
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    amqp_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def node_ports(self) -> NodePorts:
        return NodePorts(self.amqp_port, self.distribution_port, self.epmd_port)


class PrivateServers:
    """PostgreSQL and RabbitMQ of one directory; every method is idempotent and several processes may call it.

    `definitions` are loaded by the node at every start; without them it starts with the admin user alone. Ports are
    free ones unless given. Raises ServerNotFit with a sentence for a person.
    """

    def __init__(
        self,
        directory: Path,
        *,
        definitions: Definitions | None = None,
        postgres_port: int | None = None,
        amqp_port: int | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.definitions = definitions
        self._wanted = {"postgres_port": postgres_port, "amqp_port": amqp_port}
        self._state_file = self.directory / "servers.json"
        account = Account.of_servers()
        self._postgres = PrivatePostgres(self.directory / "postgres", account)
        self._rabbitmq = PrivateRabbitMQ(self.directory / "rabbitmq", account)

    @property
    def urls(self) -> ServerUrls:
        """Known from the first `up` on, also while the servers are down."""
        state = self._load()
        if not state.amqp_port:
            raise ServerNotFit(f"No servers were ever started in {self.directory}: call up() first.")
        return ServerUrls(
            f"postgresql://{SUPERUSER}:{state.postgres_password}@{LOOPBACK}:{state.postgres_port}/postgres",
            f"amqp://{topology.ADMIN}:{state.amqp_password}@{LOOPBACK}:{state.amqp_port}/%2F",
        )

    @property
    def postgres_pid(self) -> int | None:
        return self._postgres.pid

    @property
    def rabbitmq_pid(self) -> int | None:
        return self._rabbitmq.pid

    @property
    def postgres_log(self) -> Path:
        return self._postgres.log

    @property
    def rabbitmq_log(self) -> Path:
        return self._rabbitmq.directory / "log" / "rabbit.log"

    def up(self) -> ServerUrls:
        """Start both, side by side; 4 to 9 s the first time, at once when they run. What ran before stays up."""
        with self._locked():
            self._prepare()
            started = [server for server in (self._postgres, self._rabbitmq) if server.pid is None]
            try:
                _side_by_side(self._start_postgres, self._start_rabbitmq)
            except BaseException:
                self._stop(*started)
                raise
        return self.urls

    def down(self) -> None:
        """Stop both in order; the data stays."""
        if self._state_file.exists():
            with self._locked():
                self._stop(self._rabbitmq, self._postgres)

    def start_postgres(self) -> None:
        with self._locked():
            self._prepare()
            self._start_postgres()

    def stop_postgres(self) -> None:
        self._postgres.stop()

    def kill_postgres(self) -> None:
        """End it as a power cut would; returns when it is gone."""
        self._postgres.kill()

    def freeze_postgres(self) -> None:
        self._postgres.freeze()

    def thaw_postgres(self) -> None:
        self._postgres.thaw()

    def start_rabbitmq(self) -> None:
        with self._locked():
            self._prepare()
            self._start_rabbitmq()

    def stop_rabbitmq(self) -> None:
        self._stop(self._rabbitmq)

    def kill_rabbitmq(self) -> None:
        """kill -9; returns when it is gone."""
        self._rabbitmq.kill()

    def freeze_rabbitmq(self) -> None:
        self._rabbitmq.freeze()

    def thaw_rabbitmq(self) -> None:
        self._rabbitmq.thaw()

    def import_definitions(self, definitions: Definitions) -> None:
        """Add users, vhosts, queues … to the running node (about 3 s); the admin gets every vhost named."""
        state = self._load()
        self._rabbitmq.import_definitions(definitions, state.node, state.node_ports, state.amqp_password)

    def delete_vhost(self, name: str) -> None:
        self.rabbitmqctl("delete_vhost", name)

    def load_at_start(self, definitions: Definitions) -> None:
        """From now on the node loads these definitions whenever it starts."""
        self.definitions = definitions
        with self._locked():
            self._rabbitmq.load_at_start(definitions, self._load().amqp_password)

    def rabbitmqctl(self, *arguments: str) -> str:
        """The output of rabbitmqctl for the private node."""
        state = self._load()
        return self._rabbitmq.control(*arguments, name=state.node, ports=state.node_ports)

    def _start_postgres(self) -> None:
        state = self._load()
        self._postgres.start(state.postgres_port, state.postgres_password)

    def _start_rabbitmq(self) -> None:
        state = self._load()
        if self.definitions is not None and self._rabbitmq.pid is None:
            self._rabbitmq.load_at_start(self.definitions, state.amqp_password)
        self._rabbitmq.start(state.node, state.node_ports, state.amqp_password)

    def _stop(self, *servers: PrivatePostgres | PrivateRabbitMQ) -> None:
        state = self._load()
        for server in servers:
            if isinstance(server, PrivateRabbitMQ):
                server.stop(state.node, state.node_ports)
            else:
                server.stop()

    def _prepare(self) -> None:
        if not self.directory.exists():
            self.directory.mkdir(parents=True)
            self.directory.chmod(0o711)
        _refuse_closed_parents(self.directory)
        self._save(self._choose_ports(self._load()))

    def _choose_ports(self, state: State) -> State:
        """Keep what is remembered; a port that a stranger took meanwhile is replaced, unless it was asked for."""
        free: dict[str, int] = {}
        if self._postgres.pid is None:
            free |= self._replacements(state, "postgres_port")
        if self._rabbitmq.pid is None:
            free |= self._replacements(state, "amqp_port", "distribution_port")
        return State(**(asdict(state) | {"epmd_port": state.epmd_port or free_port()} | free))

    def _replacements(self, state: State, *names: str) -> dict[str, int]:
        chosen = {}
        for name in names:
            wanted = self._wanted.get(name)
            port = wanted or getattr(state, name) or free_port()
            if wanted and answers(wanted):
                raise ServerNotFit(f"Port {wanted} is in use: stop what listens there or choose another one.")
            chosen[name] = free_port() if answers(port) else port
        return chosen

    def _load(self) -> State:
        if not self._state_file.exists():
            return State()
        try:
            return State(**json.loads(self._state_file.read_text()))
        except (ValueError, TypeError) as error:
            raise ServerNotFit(
                f"{self._state_file} is damaged: restore it, or delete {self.directory} to begin anew."
            ) from error

    def _save(self, state: State) -> None:
        write_private(self._state_file, json.dumps(asdict(state), indent=1))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Two commands at once on one directory wait for each other."""
        if not self.directory.exists():
            self.directory.mkdir(parents=True)
            self.directory.chmod(0o711)
        with (self.directory / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _side_by_side(*tasks: Callable[[], None]) -> None:
    """Run all to their end, then raise the first error."""
    with ThreadPoolExecutor(len(tasks)) as threads:
        running = [threads.submit(task) for task in tasks]
    for task in running:
        task.result()


def _refuse_closed_parents(directory: Path) -> None:
    """As root the servers run as another account, which must be able to reach the directory."""
    if os.geteuid() != 0:
        return
    for path in (directory, *directory.parents):
        if not path.stat().st_mode & stat.S_IXOTH:
            raise ServerNotFit(
                f"{path} is closed to other accounts and PostgreSQL cannot run as root: choose a directory "
                "below /var/tmp."
            )
