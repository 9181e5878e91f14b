"""Broker users of tenants' systems, in the running broker and in what it loads at its next start."""

from __future__ import annotations

from nexus_cli.launcher.broker import definitions_of
from nexus_cli.launcher.installation import Installation, broker_client
from nexus_cli.launcher.secrets import ClientLogin, find_client, new_password
from nexus_cli.outcomes import CommandFailed
from nexus_shared import topology


def add(installation: Installation, kind: str, tenant_id: str, name: str) -> dict[str, str]:
    """The user with its address: `user`, `tenant_id`, `amqp_url`. Raises CommandFailed for a name that cannot be."""
    installation.require_running()
    login = ClientLogin(kind, tenant_id, name, new_password())
    try:
        client = broker_client(login)
    except ValueError as error:
        raise CommandFailed(f"'{tenant_id}' or '{name}' cannot be a name.", str(error)) from error
    installation.servers.import_definitions(topology.client_definitions(client))
    secrets = installation.change_secrets(lambda secrets: secrets.with_client(login))
    installation.servers.load_at_start(definitions_of(secrets))
    return _told(installation, login)


def all_of(installation: Installation) -> list[dict[str, str]]:
    return (
        [_told(installation, login) for login in installation.secrets().clients]
        if installation.exists
        else []
    )


def remove(installation: Installation, kind: str, tenant_id: str, name: str) -> str:
    """The broker user's name. Raises CommandFailed when it was not made here."""
    installation.require_running()
    login = find_client(installation.secrets(), kind, tenant_id, name)
    if login is None:
        raise CommandFailed(f"There is no user '{name}' of {tenant_id}.", "Look at: nexus publisher list")
    user = broker_client(login).user
    installation.servers.rabbitmqctl("delete_user", user)
    installation.servers.rabbitmqctl("close_all_user_connections", user, "The user was removed")
    secrets = installation.change_secrets(lambda secrets: secrets.without_client(kind, tenant_id, name))
    installation.servers.load_at_start(definitions_of(secrets))
    return user


def how_to_use(made: dict[str, str]) -> str:
    tenant = made["tenant_id"]
    lines = [made["amqp_url"]]
    if made["user"].startswith("pub."):
        lines += [
            "",
            f"Publish CloudEvents (application/cloudevents+json) to the exchange {topology.INBOUND}",
            f"with the routing key {tenant}.<type>, for example {tenant}.lead.created.",
        ]
    else:
        lines += [
            "",
            f"Declare quorum queues named {made['user']}.<anything> and bind them to {topology.EVENTS}",
            f"with routing keys {tenant}.<type>, for example {tenant}.lead.#.",
        ]
    return "\n".join(lines)


def _told(installation: Installation, login: ClientLogin) -> dict[str, str]:
    user = broker_client(login).user
    return {
        "user": user,
        "tenant_id": login.tenant_id,
        "amqp_url": installation.amqp_url(user, login.password),
    }
