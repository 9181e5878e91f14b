"""What is known about every event of the demo, and how long each step took."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

from nexus_shared.envelope import Event


@dataclass
class Card:
    """One event's way. Times are seconds of a monotonic clock; `trigger` is the name of the one that must fire."""

    event: Event
    published_at: float
    trigger: str | None = None
    position: int | None = None
    recorded_at: float | None = None
    is_fired: bool = False
    delivered_at: float | None = None
    attempts: int = 0

    @property
    def is_complete(self) -> bool:
        """Nothing more is expected of it."""
        return self.recorded_at is not None and (self.trigger is None or self.delivered_at is not None)

    @property
    def recorded_ms(self) -> float | None:
        return None if self.recorded_at is None else (self.recorded_at - self.published_at) * 1000

    @property
    def delivered_ms(self) -> float | None:
        return None if self.delivered_at is None else (self.delivered_at - self.published_at) * 1000


@dataclass
class Board:
    """Takes what is seen, in any order, and hands out cards once they are complete."""

    cards: dict[str, Card] = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)

    def published(self, event: Event, trigger: str | None, at: float) -> None:
        self.cards[event.id] = Card(event, at, trigger)

    def recorded(self, event_id: str, position: int, at: float) -> None:
        if card := self.cards.get(event_id):
            card.position, card.recorded_at = position, at

    def fired(self, event_id: str) -> None:
        if card := self.cards.get(event_id):
            card.is_fired = True

    def delivered(self, event_id: str, position: int, at: float) -> None:
        """A webhook came; it proves the decision as well, whose fact may come later."""
        if card := self.cards.get(event_id):
            card.attempts += 1
            card.is_fired = True
            card.delivered_at = card.delivered_at or at
            card.position = card.position or position

    def newly_complete(self) -> Iterator[Card]:
        """Cards that became complete since the last call, in the order they were published."""
        for event_id, card in self.cards.items():
            if card.is_complete and event_id not in self._shown:
                self._shown.add(event_id)
                yield card

    @property
    def open(self) -> list[Card]:
        return [card for card in self.cards.values() if not card.is_complete]

    def summary(self) -> dict[str, float | int | None]:
        """Counts, and latencies in milliseconds (None where nothing came)."""
        cards = self.cards.values()
        recorded = [card.recorded_ms for card in cards if card.recorded_ms is not None]
        delivered = [card.delivered_ms for card in cards if card.delivered_ms is not None]
        return {
            "published": len(cards),
            "recorded": sum(card.position is not None for card in cards),
            "fired": sum(card.is_fired for card in cards),
            "webhooks_expected": sum(card.trigger is not None for card in cards),
            "webhooks_delivered": len(delivered),
            "webhooks_unexpected": sum(card.trigger is None and card.attempts > 0 for card in cards),
            "recorded_p50_ms": _quantile(recorded, 0.5),
            "delivered_p50_ms": _quantile(delivered, 0.5),
            "delivered_p99_ms": _quantile(delivered, 0.99),
        }


def _quantile(values: list[float], share: float) -> float | None:
    if len(values) < 2:
        return round(values[0], 1) if values else None
    cut = statistics.quantiles(values, n=100, method="inclusive")
    return round(cut[max(0, round(share * 100) - 1)], 1)
