"""nexus log."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_cli.options import AsJson, Directory
from nexus_cli.outcomes import Exit

app = typer.Typer(help="The append-only log of events.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """The append-only log of events."""


@app.command("verify")
def verify(
    directory: Directory = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url",
            envvar="NEXUS_DATABASE_URL",
            help="Another database, as the role ingest, instead of this machine's.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no event was changed, taken out or put in: hashes of every block, the chain, the positions."""
    import json
    from dataclasses import asdict

    from nexus_cli import log_chain
    from nexus_cli.launcher.installation import Installation
    from nexus_shared.access.keys import parse_keys

    master_keys = None
    if database_url is None:
        installation = Installation(directory)
        installation.require_running()
        database_url = installation.database_url("ingest")
        master_keys = parse_keys(installation.secrets().master_keys)
    report = log_chain.verify(database_url, master_keys=master_keys, shows_progress=not as_json)
    print(json.dumps(asdict(report), indent=2) if as_json else log_chain.sentence(report))
    if report.faults:
        raise typer.Exit(Exit.FAILED)
