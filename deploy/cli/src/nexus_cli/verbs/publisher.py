"""nexus publisher: broker users of a tenant's systems."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_cli.options import AsJson, Directory

app = typer.Typer(help="Broker users of tenants' systems, limited to their tenant.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="What the system is called: lower-case letters, digits and hyphens.")
]
Tenant = Annotated[str, typer.Option("--tenant", help="The tenant that the user is limited to.")]
Subscribes = Annotated[
    bool, typer.Option("--subscribes", help="It subscribes to events instead of publishing them.")
]


@app.command("add")
def add(
    name: Name,
    tenant: Tenant,
    directory: Directory = None,
    subscribes: Subscribes = False,
    as_json: AsJson = False,
) -> None:
    """Make a broker user that publishes for one tenant; with the same name, give it a new password."""
    import json

    from nexus_cli import broker_users
    from nexus_cli.launcher.installation import Installation

    made = broker_users.add(Installation(directory), _kind(subscribes), tenant, name)
    print(json.dumps(made) if as_json else broker_users.how_to_use(made))


@app.command("list")
def list_users(directory: Directory = None, as_json: AsJson = False) -> None:
    """Show the broker users that were made here."""
    import json

    from nexus_cli import broker_users
    from nexus_cli.launcher.installation import Installation

    users = broker_users.all_of(Installation(directory))
    print(json.dumps(users) if as_json else "\n".join(user["user"] for user in users))


@app.command("remove")
def remove(name: Name, tenant: Tenant, directory: Directory = None, subscribes: Subscribes = False) -> None:
    """Take a broker user away; its connections end at once."""
    from nexus_cli import broker_users
    from nexus_cli.launcher.installation import Installation

    print(f"Removed {broker_users.remove(Installation(directory), _kind(subscribes), tenant, name)}.")


def _kind(subscribes: bool) -> str:
    return "sub" if subscribes else "pub"
