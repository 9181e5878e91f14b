"""nexus events show."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.json import JSON

from nexus_cli.api import Api


def find(api: Api, event_id: str, source: str | None) -> dict[str, Any]:
    """The event with `position`, `recorded_at` and `status`. Raises CommandFailed when there is none."""
    found: dict[str, Any] = api.ask(
        "GET", f"/v1/events/{quote(event_id, safe='')}", params={"source": source}
    )
    return found


def show(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(
        f"position {found['position']}, recorded {found['recorded_at']}, {found['status']}", style="bold"
    )
    console.print(JSON.from_data(found["event"], ensure_ascii=False))
