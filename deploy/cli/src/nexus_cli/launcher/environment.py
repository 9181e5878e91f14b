"""What a service process is told: its settings as environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping

from nexus_cli.launcher.installation import DEMO_RECEIVER, DEMO_RECEIVER_PORT, Installation
from nexus_cli.launcher.registry import ServiceEntry

PASSED_ON = ("NEXUS_LOG_LEVEL", "NEXUS_OTLP_ENDPOINT")


def environment_of(entry: ServiceEntry, installation: Installation) -> dict[str, str]:
    """The whole environment: ours without any NEXUS_ setting, except those meant for services, and its own."""
    secrets, memory = installation.secrets(), installation.memory()
    settings = {
        "database_url": installation.database_url(entry.schema),
        "database_api_url": installation.database_url(f"{entry.schema}_api"),
        "amqp_url": installation.amqp_url(entry.broker_user, secrets.passwords[f"amqp:{entry.broker_user}"]),
        "http_host": "127.0.0.1",
        "http_port": str(memory.ports[entry.name]),
        "master_keys": secrets.master_keys,
        "token_public_keys": secrets.token_public_keys,
        "log_format": "json",
    }
    special = {
        "token_signing_key": secrets.signing_key,
        "outbound_allow": f"127.0.0.1:{memory.ports.get(DEMO_RECEIVER, DEMO_RECEIVER_PORT)}",
    }
    settings |= {name: special[name] for name in entry.wants}
    return _inherited(os.environ) | {f"NEXUS_{name.upper()}": value for name, value in settings.items()}


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """A setting of the person's shell must not reach a service by accident."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("NEXUS_") or name in PASSED_ON
    } | {"PYTHONUNBUFFERED": "1"}
