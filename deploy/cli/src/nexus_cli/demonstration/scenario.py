"""What the demo publishes, and the triggers that listen to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from nexus_shared.envelope import Event
from nexus_shared.ids import TenantId
from nexus_shared.testing.builders import (
    a_lead_created,
    a_lead_status_changed,
    a_payment_overdue,
    an_appointment_completed,
    an_appointment_scheduled,
)
from nexus_shared.testing.people import Person

NAME_PREFIX = "Demonstração: "
ACTION_KEY = "avisar"
SOURCE = "demo-crm"


def a_lead_without_consent(*, number: int, **changes: Any) -> Event:
    return a_lead_created(number=number, data={"consent": {"whatsapp": False, "marketing": False}}, **changes)


BUILDERS: tuple[Callable[..., Event], ...] = (
    a_lead_created,
    an_appointment_scheduled,
    a_lead_without_consent,
    a_payment_overdue,
    a_lead_status_changed,
    an_appointment_completed,
)


@dataclass(frozen=True)
class DemoTrigger:
    """A trigger in words, as the API takes it, and as the demo expects it to decide."""

    name: str
    event_type: str
    rules: tuple[dict[str, Any], ...]
    fires_for: Callable[[dict[str, Any]], bool]

    def definition(self, receiver_url: str, secret: str) -> dict[str, Any]:
        conditions = {"combinator": "and", "rules": list(self.rules)}
        parameters = {"url": receiver_url, "secret": secret}
        return {
            "name": NAME_PREFIX + self.name,
            "description": "nexus demo makes this trigger when it begins and deletes it when it ends.",
            "event_type": self.event_type,
            "conditions": conditions,
            "actions": [{"key": ACTION_KEY, "kind": "send_webhook", "parameters": parameters}],
        }


TRIGGERS = (
    DemoTrigger(
        "boas-vindas a quem aceita WhatsApp",
        "lead.created",
        ({"field": "data.consent.whatsapp", "operator": "=", "value": True},),
        lambda data: bool(data["consent"]["whatsapp"]),
    ),
    DemoTrigger(
        "primeira consulta agendada",
        "appointment.scheduled",
        ({"field": "data.first_visit", "operator": "=", "value": True},),
        lambda data: bool(data["first_visit"]),
    ),
    DemoTrigger(
        "cobrança com mais de 15 dias de atraso",
        "payment.overdue",
        ({"field": "data.days_overdue", "operator": ">", "value": 15},),
        lambda data: int(data["days_overdue"]) > 15,
    ),
)


def expected_trigger(event: Event) -> DemoTrigger | None:
    """The demo's trigger that this event must fire."""
    for trigger in TRIGGERS:
        if trigger.event_type == event.type and trigger.fires_for(event.data):
            return trigger
    return None


def events(tenant_id: TenantId, *, seed: int | None = None) -> Iterator[Event]:
    """An endless stream of a clinic's facts, each with an identity of its own."""
    number = random.Random(seed).randrange(1, 900_000)
    while True:
        build = BUILDERS[number % len(BUILDERS)]
        yield build(number=number, tenantid=tenant_id, source=SOURCE, id=str(uuid4()), time=datetime.now(UTC))
        number += 1


def person_of(event: Event) -> str:
    """Who an event of the demo is about, by name: the invented person of its number."""
    number = str(event.subject or "").rpartition("-")[2]
    return Person(int(number)).name if number.isdigit() else ""
