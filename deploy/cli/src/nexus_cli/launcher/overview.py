"""What runs and where, for people and scripts."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from nexus_cli.launcher.installation import DEMO_TENANT, Installation


def of(installation: Installation) -> dict[str, Any]:
    """`services` by name, `servers`, `amqp_url` of the demo publisher, `demo` clinic; empty values while down."""
    is_running = installation.exists and installation.is_running
    urls = {entry.name: installation.url_of(entry.name) for entry in installation.services}
    healthy = asyncio.run(_healthy(list(urls.values()))) if is_running else [False] * len(urls)
    servers = installation.servers
    return {
        "running": is_running,
        "directory": str(installation.directory),
        "services": {
            name: {"url": url, "healthy": is_healthy}
            for (name, url), is_healthy in zip(urls.items(), healthy, strict=True)
        },
        "servers": {
            "postgres": {"pid": servers.postgres_pid},
            "rabbitmq": {"pid": servers.rabbitmq_pid},
        },
        "amqp_url": installation.demo_amqp_url() if is_running else None,
        "demo": {
            "tenant_id": DEMO_TENANT,
            "api_key": (installation.secrets().demo_key or None) if installation.exists else None,
        },
    }


async def _healthy(urls: list[str]) -> list[bool]:
    async with httpx.AsyncClient(timeout=3) as client:
        return list(await asyncio.gather(*(_is_ready(client, url) for url in urls)))


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health/ready")).is_success
    except httpx.TransportError:
        return False


def pick(found: dict[str, Any], path: str) -> Any:
    """The value at a dotted path; None when there is none."""
    value: Any = found
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def show(found: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not found["running"]:
        console.print(f"Nexus is not running (data in {found['directory']}). Start it with: nexus up")
        return
    table = Table.grid(padding=(0, 2))
    for name, service in found["services"].items():
        mark = "[green]healthy[/]" if service["healthy"] else "[red]not healthy[/]"
        table.add_row(name, mark, service["url"])
    for name, server in found["servers"].items():
        table.add_row(
            name, "[green]runs[/]" if server["pid"] else "[red]away[/]", f"process {server['pid'] or '-'}"
        )
    console.print(table)
    console.print(f"Data and logs: {found['directory']}")
