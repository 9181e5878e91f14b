"""nexus events show."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.json import JSON

from nexus_cli.api import Api


def find(api: Api, event_id: str, source: str | None) -> dict[str, Any]:
    """The event with `position`, `recorded_at` and `status`. Raises CommandFailed when there is none."""
    if event_id.startswith("#") and event_id[1:].isdigit():
        path, params = f"/v1/events/at/{event_id[1:]}", None
    else:
        path, params = f"/v1/events/{quote(event_id, safe='')}", {"source": source}
    found: dict[str, Any] = api.ask("GET", path, params=params)
    return found


def show(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(
        f"position {found['position']}, recorded {found['recorded_at']}, {found['status']}", style="bold"
    )
    console.print(JSON.from_data(found["event"], ensure_ascii=False))
