"""nexus token: API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from nexus_cli.options import AsJson, Directory

app = typer.Typer(help="API keys: signed tokens with a tenant and scopes.", no_args_is_help=True)

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="NEXUS_URL", help="Address of ingest.  [default: the running one]"),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="NEXUS_API_KEY",
        help="A key with tokens:manage.  [default: one signed here, of the platform]",
    ),
]
Tenant = Annotated[str | None, typer.Option("--tenant", help="Whose keys.  [default: the tenant of --key]")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; it names who did something.")],
    tenant: Tenant = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope, like events:write; may be repeated.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="A usual set of scopes: viewer, receptionist, clinic-admin, developer.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days until it expires.")] = 365,
    directory: Directory = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Issue a key; it is shown this once."""
    import json

    from nexus_cli import api_keys
    from nexus_cli.access import platform_api

    scopes = api_keys.scopes_of(role, scope or [])
    made = api_keys.create(platform_api(directory, url, key), name, tenant, scopes, days)
    print(json.dumps(made) if as_json else made["token"])


@app.command("list")
def list_keys(
    tenant: Tenant = None,
    directory: Directory = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show a tenant's keys, newest first, without the tokens themselves."""
    import json

    from nexus_cli import api_keys
    from nexus_cli.access import platform_api

    found = api_keys.all_of(platform_api(directory, url, key), tenant)
    if as_json:
        print(json.dumps(found))
    else:
        api_keys.show(found)


@app.command("revoke")
def revoke(
    jti: Annotated[str, typer.Argument(help="The key's id, from nexus token list; or the token itself.")],
    tenant: Tenant = None,
    directory: Directory = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Take a key back; every service refuses it within seconds."""
    from nexus_cli import api_keys
    from nexus_cli.access import platform_api

    print(f"Revoked {api_keys.revoke(platform_api(directory, url, key), jti, tenant)}.")


@app.command("decode")
def decode(
    token: Annotated[str, typer.Argument(help="The token, or - to read it from standard input.")],
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Say what a key holds and whether this installation signed it. Nothing is sent anywhere."""
    import json

    from nexus_cli import api_keys
    from nexus_cli.launcher.installation import Installation

    told = api_keys.decode(token, Installation(directory))
    if as_json:
        print(json.dumps(told))
    else:
        print("\n".join(f"{name}: {', '.join(v) if isinstance(v, list) else v}" for name, v in told.items()))
