"""A vhost for tests, with the platform's topology and a password for every service's user."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from nexus_shared import topology
from nexus_shared.testing.provision import Servers, password_for


@dataclass(frozen=True)
class TestVhost:
    """`url` is the administrator's; `url_of("svc.ingest")` the one a service has in production."""

    __test__ = False

    name: str
    url: str
    passwords: dict[str, str]
    servers: Servers

    @classmethod
    def make(cls, servers: Servers, clients: Iterable[topology.ClientUser] = ()) -> TestVhost:
        name = f"test-{secrets.token_hex(4)}"
        users = [topology.service_user(service) for service in topology.SERVICES]
        # Derived, because the users of a broker are the same in every vhost.
        passwords = {user: password_for(servers.amqp_url, user) for user in users}
        clients = tuple(clients)
        layout = topology.definitions(passwords=passwords, clients=clients, vhost=name)
        admin = unquote(urlsplit(servers.amqp_url).username or "")
        layout["permissions"].append(
            {"user": admin, "vhost": name, "configure": ".*", "write": ".*", "read": ".*"}
        )
        servers.broker.import_definitions(layout)
        known = passwords | {client.user: client.password for client in clients}
        return cls(name, servers.amqp_url_of(name), known, servers)

    def url_of(self, user: str) -> str:
        """The address for `svc.<service>` or for a client made with the vhost."""
        return self.servers.amqp_url_of(self.name, user, self.passwords[user])

    def add_client(self, client: topology.ClientUser) -> str:
        """A publisher or subscriber of a tenant; its address."""
        self.servers.broker.import_definitions(topology.client_definitions(client, vhost=self.name))
        return self.servers.amqp_url_of(self.name, client.user, client.password)

    def drop(self) -> None:
        self.servers.broker.delete_vhost(self.name)
