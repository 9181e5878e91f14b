"""The page that says where things are and what to try next."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from nexus_cli.launcher.installation import DEMO_TENANT, Installation


def show(console: Console, installation: Installation) -> None:
    """Plain lines without a frame: everything on it is meant to be copied whole."""
    database = installation.servers.urls.database.rsplit("@", 1)[1].split("/", 1)[0]
    lines = {entry.name: installation.url_of(entry.name) for entry in installation.services}
    lines |= {
        "RabbitMQ": f"{installation.demo_amqp_url()}  (publisher of {DEMO_TENANT})",
        "PostgreSQL": f"{database}, database nexus",
        "data and logs": str(installation.directory),
    }
    console.print("\nNexus is running.", style="bold green")
    for name, where in lines.items():
        console.print(f"  [bold]{name:<18}[/] {escape(where)}", soft_wrap=True)
    console.print(f"\nAPI key of {DEMO_TENANT}:", style="bold")
    console.print(f"  {installation.secrets().demo_key}", markup=False, soft_wrap=True)
    console.print(_next_steps(installation), soft_wrap=True)


def _next_steps(installation: Installation) -> Text:
    nexus, url = command(), installation.url_of("ingest")
    steps = Text("\nWhat to try next, in another terminal:\n", style="bold")
    for what, how in (
        ("see events become webhooks", f"{nexus} demo"),
        ("watch events arrive", f"{nexus} events tail"),
        (
            "publish one yourself",
            f'{nexus} events publish lead.created --data \'{{"lead_id": "1", "name": "Ana"}}\'',
        ),
        (
            "the same with curl",
            f"curl -s {url}/v1/events -H 'Content-Type: application/cloudevents+json' "
            f'-H "Authorization: Bearer $({nexus} status --get demo.api_key)" '
            '-d \'{"specversion": "1.0", "id": "1", "source": "curl", "type": "lead.created", '
            f'"tenantid": "{DEMO_TENANT}", "data": {{"lead_id": "2", "name": "João"}}}}\'',
        ),
    ):
        steps.append(f"  {what}:\n", style="dim").append(f"    {how}\n", style="default")
    return steps


def command() -> str:
    """How this command is called from where the person is."""
    own = Path(sys.executable).parent / "nexus"
    found = shutil.which("nexus")
    if found and Path(found).resolve() == own.resolve():
        return "nexus"
    relative = os.path.relpath(own)
    return str(own) if relative.startswith("..") else relative
