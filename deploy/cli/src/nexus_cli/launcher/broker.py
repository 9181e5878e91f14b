"""The broker's definitions for one installation."""

from __future__ import annotations

from typing import Any

from nexus_cli.launcher.installation import DEMO_PUBLISHER, DEMO_TENANT, Installation, broker_client
from nexus_cli.launcher.secrets import ClientLogin, Secrets, find_client, new_password
from nexus_shared import topology


def complete_secrets(installation: Installation) -> Secrets:
    """A password for every role and user there must be, kept; those that exist stay."""
    names = [
        name
        for entry in installation.services
        for name in (f"db:{entry.schema}", f"db:{entry.schema}_api", f"amqp:{entry.broker_user}")
    ]

    def complete(secrets: Secrets) -> Secrets:
        secrets = secrets.with_passwords(*names)
        if find_client(secrets, "pub", DEMO_TENANT, DEMO_PUBLISHER) is None:
            secrets = secrets.with_client(ClientLogin("pub", DEMO_TENANT, DEMO_PUBLISHER, new_password()))
        return secrets

    return installation.change_secrets(complete)


def definitions_of(secrets: Secrets) -> dict[str, Any]:
    """What the node loads at every start: the layout, the services' users and every client ever added."""
    passwords = {
        name.removeprefix("amqp:"): password
        for name, password in secrets.passwords.items()
        if name.startswith("amqp:")
    }
    return topology.definitions(
        passwords=passwords, clients=[broker_client(client) for client in secrets.clients]
    )


def start_servers(installation: Installation) -> None:
    """Start PostgreSQL and RabbitMQ; a node that runs already gets the definitions that it has not loaded."""
    servers = installation.servers
    had_broker = servers.rabbitmq_pid is not None
    servers.up()
    if had_broker and servers.definitions is not None:
        servers.import_definitions(servers.definitions)
