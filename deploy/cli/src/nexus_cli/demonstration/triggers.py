"""The demo's triggers in trigger-processor: made at the beginning, deleted at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nexus_cli.api import Api
from nexus_cli.demonstration.scenario import NAME_PREFIX, TRIGGERS


@contextmanager
def published(api: Api, receiver_url: str, secret: str) -> Iterator[list[dict[str, Any]]]:
    """The demo's triggers, published; those of a demo that was killed are deleted first."""
    for leftover in _own(api):
        api.ask("DELETE", f"/v1/triggers/{leftover['id']}")
    try:
        yield [_publish(api, trigger.definition(receiver_url, secret)) for trigger in TRIGGERS]
    finally:
        for trigger in _own(api):
            api.ask("DELETE", f"/v1/triggers/{trigger['id']}")


def _publish(api: Api, definition: dict[str, Any]) -> dict[str, Any]:
    made = api.ask("POST", "/v1/triggers", json=definition)
    trigger: dict[str, Any] = api.ask(
        "POST", f"/v1/triggers/{made['id']}/publish", json={"reason": "nexus demo"}
    )
    return trigger


def _own(api: Api) -> list[dict[str, Any]]:
    found = api.ask("GET", "/v1/triggers", params={"text": NAME_PREFIX.strip(), "limit": 100})["items"]
    return [trigger for trigger in found if trigger["name"].startswith(NAME_PREFIX)]
