"""nexus migrate."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_cli.options import AsJson, Directory


def migrate(
    directory: Directory = None,
    admin_url: Annotated[
        str | None,
        typer.Option(
            "--admin-url",
            envvar="NEXUS_ADMIN_DATABASE_URL",
            help="Another database (roles and schemas exist there), instead of this machine's.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Apply the migrations that are missing; safe to repeat and to run from several places at once."""
    import asyncio
    import json

    from nexus_cli.launcher import broker, schemas
    from nexus_cli.launcher.installation import Installation

    installation = Installation(directory)
    if admin_url:
        applied = asyncio.run(schemas.apply(admin_url, installation.services))
    else:
        installation.prepare()
        was_up = installation.servers.postgres_pid is not None
        broker.complete_secrets(installation)
        installation.servers.start_postgres()
        try:
            applied = schemas.prepare_and_migrate(installation)
        finally:
            if not was_up:
                installation.servers.stop_postgres()
    if as_json:
        print(json.dumps(applied))
        return
    for service, files in applied.items():
        print(f"{service}: {', '.join(files) or 'up to date'}")
