"""nexus up."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_cli.options import Directory


def up(
    directory: Directory = None,
    follow: Annotated[
        bool,
        typer.Option(
            help="Stay, show the logs and stop everything on Ctrl-C; otherwise go to the background."
        ),
    ] = True,
) -> None:
    """Start PostgreSQL, RabbitMQ and every service on this machine; data survives."""
    from nexus_cli.launcher import starting
    from nexus_cli.launcher.installation import Installation

    starting.up(Installation(directory), follow=follow)
