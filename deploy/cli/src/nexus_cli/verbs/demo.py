"""nexus demo."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_cli.options import AsJson, Directory
from nexus_cli.outcomes import Exit


def demo(
    directory: Directory = None,
    count: Annotated[
        int, typer.Option("--events", min=0, help="How many events; 0 goes on until Ctrl-C.")
    ] = 30,
    rate: Annotated[float, typer.Option(min=0.1, max=500, help="Events a second.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Publish a clinic's events through RabbitMQ and watch them become webhooks at a local receiver."""
    from nexus_cli.demonstration import run
    from nexus_cli.launcher.installation import Installation

    if run.run(Installation(directory), count=count, rate=rate, as_json=as_json):
        raise typer.Exit(Exit.FAILED)
