"""Triggers for the tests: what they should fire on, said once for the platform and once for the checker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nexus_shared.envelope import Event

ACTION = "hook"


@dataclass(frozen=True)
class Trigger:
    """`fires_on` is the checker's own reading of `conditions`; `path` is where its webhooks arrive."""

    tenant_id: str
    name: str
    path: str
    fires_on: Callable[[Event], bool]
    conditions: dict[str, Any] | None = None
    event_type: str = "lead.created"

    def definition(self, receiver_url: str, secret: str) -> dict[str, Any]:
        parameters = {"url": f"{receiver_url}{self.path}", "secret": secret}
        definition: dict[str, Any] = {
            "name": self.name,
            "event_type": self.event_type,
            "actions": [{"key": ACTION, "kind": "send_webhook", "parameters": parameters}],
        }
        return definition | ({"conditions": self.conditions} if self.conditions is not None else {})

    def wants(self, event: Event) -> bool:
        return event.tenantid == self.tenant_id and event.type == self.event_type and self.fires_on(event)


@dataclass(frozen=True)
class Published:
    """A trigger as it was published: events at positions up to `effective_after` are none of its business."""

    trigger: Trigger
    trigger_id: UUID
    effective_after: int


def every_lead(tenant_id: str) -> Trigger:
    """Fires on every new lead."""
    return Trigger(tenant_id, "Todo lead novo", f"/{tenant_id}/every-lead", lambda event: True)


def leads_from_ads(tenant_id: str) -> Trigger:
    """Fires on new leads that came from an advertisement."""
    return Trigger(
        tenant_id,
        "Lead de anúncio",
        f"/{tenant_id}/leads-from-ads",
        lambda event: event.data.get("source") == "ads",
        {"combinator": "and", "rules": [{"field": "data.source", "operator": "=", "value": "ads"}]},
    )
