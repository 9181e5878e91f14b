"""Where the servers of a test session come from: given, containers, or private ones."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

import httpx
from pydantic_settings import BaseSettings, SettingsConfigDict

from nexus_shared.testing.private_rabbitmq import Definitions
from nexus_shared.testing.processes import ServerNotFit
from nexus_shared.testing.servers import PrivateServers

POSTGRES_IMAGE = "postgres:18"
RABBITMQ_IMAGE = "rabbitmq:4.2-management"
MANAGEMENT_PORT = 15672


class TestSettings(BaseSettings):
    """What the environment says about the servers of tests; `ci` is the usual CI=true, or any other text."""

    __test__ = False
    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    nexus_test_database_url: str | None = None
    nexus_test_amqp_url: str | None = None
    nexus_test_amqp_api_url: str | None = None
    ci: str = ""

    @property
    def is_ci(self) -> bool:
        return self.ci.lower() not in ("", "0", "false", "no")


class Broker(Protocol):
    def import_definitions(self, definitions: Definitions) -> None: ...
    def delete_vhost(self, name: str) -> None: ...


@dataclass(frozen=True)
class Servers:
    """Addresses with administrator rights, and the way to the broker's definitions.

    `private` is set when the servers are ours to kill and freeze: fault tests need that.
    """

    database_url: str
    amqp_url: str
    broker: Broker
    private: PrivateServers | None = None

    def amqp_url_of(self, vhost: str, user: str | None = None, password: str | None = None) -> str:
        parts = urlsplit(self.amqp_url)
        login = (
            f"{quote(user, safe='')}:{quote(password, safe='')}@"
            if user and password
            else f"{parts.username}:{parts.password}@"
        )
        return f"{parts.scheme}://{login}{parts.hostname}:{parts.port}/{quote(vhost, safe='')}"

    def database_url_of(self, name: str, user: str | None = None, password: str | None = None) -> str:
        parts = urlsplit(self.database_url)
        login = (
            f"{quote(user, safe='')}:{quote(password, safe='')}@"
            if user and password
            else f"{parts.username}:{parts.password}@"
        )
        return f"postgresql://{login}{parts.hostname}:{parts.port}/{name}"


def password_for(admin_url: str, name: str) -> str:
    """A password for a user of the servers under test: the same in every session that shares them."""
    secret = urlsplit(admin_url).password or ""
    return hashlib.sha256(f"{secret}|{name}".encode()).hexdigest()[:32]


@contextmanager
def provide(settings: TestSettings) -> Iterator[Servers]:
    """The session's servers; raises ServerNotFit with what is missing."""
    if settings.nexus_test_database_url or settings.nexus_test_amqp_url:
        yield _given(settings)
    elif _docker_answers():
        with _containers() as servers:
            yield servers
    else:
        with _private() as servers:
            yield servers


def _given(settings: TestSettings) -> Servers:
    database, amqp = settings.nexus_test_database_url, settings.nexus_test_amqp_url
    if not (database and amqp):
        raise ServerNotFit("Set both NEXUS_TEST_DATABASE_URL and NEXUS_TEST_AMQP_URL, or neither.")
    return Servers(database, amqp, ManagedBroker(settings.nexus_test_amqp_api_url))


def _docker_answers() -> bool:
    """True when an engine answers; the command alone proves nothing."""
    if shutil.which("docker") is None:
        return False
    with contextlib.suppress(subprocess.TimeoutExpired):
        return not subprocess.run(["docker", "version"], capture_output=True, timeout=5).returncode
    return False


@contextmanager
def _containers() -> Iterator[Servers]:
    """Not run on the machine this was written on, which has no engine."""
    from testcontainers.postgres import PostgresContainer
    from testcontainers.rabbitmq import RabbitMqContainer

    broker = RabbitMqContainer(RABBITMQ_IMAGE).with_exposed_ports(MANAGEMENT_PORT)
    with PostgresContainer(POSTGRES_IMAGE, driver=None) as postgres, broker as rabbitmq:
        at = rabbitmq.get_connection_params()
        api = f"http://guest:guest@{at.host}:{rabbitmq.get_exposed_port(MANAGEMENT_PORT)}"
        yield Servers(
            postgres.get_connection_url(), f"amqp://guest:guest@{at.host}:{at.port}/%2F", ManagedBroker(api)
        )


@contextmanager
def _private() -> Iterator[Servers]:
    directory = Path(tempfile.mkdtemp(prefix="nexus-test-", dir="/var/tmp"))
    directory.chmod(0o711)
    private = PrivateServers(directory)
    try:
        urls = private.up()
        yield Servers(urls.database, urls.amqp, private, private)
    finally:
        private.down()
        shutil.rmtree(directory, ignore_errors=True)


class ManagedBroker:
    """A broker reached through the management plugin's HTTP API (`http://user:password@host:15672`)."""

    def __init__(self, api_url: str | None) -> None:
        self._api_url = api_url

    def import_definitions(self, definitions: Definitions) -> None:
        self._ask("POST", "/api/definitions", json=dict(definitions))

    def delete_vhost(self, name: str) -> None:
        self._ask("DELETE", f"/api/vhosts/{quote(name, safe='')}")

    def _ask(self, method: str, path: str, json: object = None) -> None:
        if self._api_url is None:
            raise ServerNotFit("Set NEXUS_TEST_AMQP_API_URL to the management API of the broker under test.")
        httpx.request(method, self._api_url.rstrip("/") + path, json=json, timeout=30).raise_for_status()
