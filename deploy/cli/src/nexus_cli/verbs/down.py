"""nexus down."""

from __future__ import annotations

from nexus_cli.options import Directory


def down(directory: Directory = None) -> None:
    """Stop every service, RabbitMQ and PostgreSQL; data is kept."""
    from nexus_cli.launcher import stopping
    from nexus_cli.launcher.installation import Installation

    print(stopping.down(Installation(directory)))
