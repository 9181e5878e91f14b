"""What a publisher knows: what it tried to publish, in which order, and what was confirmed to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from nexus_shared.envelope import Event

Identity = tuple[str, str, str]
"""Tenant, source, id."""


def identity_of(event: Event) -> Identity:
    return event.tenantid, event.source, event.id


@dataclass
class Ledger:
    """Kept by the publisher's side of a test; the services know nothing of it.

    `order`: identities per (tenant, subject) as first sent. A subject is sent by one writer, one event after the other.
    """

    attempted: dict[Identity, Event] = field(default_factory=dict)
    confirmed: set[Identity] = field(default_factory=set)
    order: dict[tuple[str, str], list[Identity]] = field(default_factory=lambda: defaultdict(list))
    refusals: list[str] = field(default_factory=list)
    unconfirmed_publishes: int = 0

    def attempt(self, events: Iterable[Event]) -> None:
        """Before the first try to send."""
        for event in events:
            self.attempted[identity_of(event)] = event
            self.order[(event.tenantid, event.subject or "")].append(identity_of(event))

    def confirm(self, events: Iterable[Event]) -> None:
        self.confirmed.update(identity_of(event) for event in events)

    def refuse(self, event: Event, answer: str) -> None:
        """The platform said no to an event that is fit: never expected."""
        self.refusals.append(f"{identity_of(event)}: {answer}")

    @property
    def unknown(self) -> set[Identity]:
        """Sent, never confirmed: may or may not be recorded."""
        return set(self.attempted) - self.confirmed
