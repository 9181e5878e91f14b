"""nexus status."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_cli.options import AsJson, Directory
from nexus_cli.outcomes import CommandFailed, Exit


def status(
    directory: Directory = None,
    as_json: AsJson = False,
    get: Annotated[
        str | None,
        typer.Option(
            help="Print one value of the JSON, like demo.api_key or services.ingest.url.", metavar="PATH"
        ),
    ] = None,
) -> None:
    """Say what runs and where; exit code 1 when something is not healthy."""
    import json

    from nexus_cli.launcher import overview
    from nexus_cli.launcher.installation import Installation

    installation = Installation(directory)
    found = overview.of(installation)
    if get is not None:
        value = overview.pick(found, get)
        if value is None:
            raise CommandFailed(f"There is no value {get}.", "Look at: nexus status --json")
        print(value if isinstance(value, str) else json.dumps(value))
        return
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        overview.show(found)
    if not found["running"] or not all(service["healthy"] for service in found["services"].values()):
        raise typer.Exit(Exit.FAILED)
