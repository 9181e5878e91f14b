"""What this process counts and times, for Prometheus. Handed in by the composition root, told once per batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from nexus_shared.observability.metrics import counter, gauge, histogram
from nexus_trigger_processor.retries import Outcome
from nexus_trigger_processor.store.matching import DecisionRow


class Measures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = counter(registry, "events_matched", "Events taken from the log and decided about")
        self._delay = histogram(
            registry,
            "matching_delay_seconds",
            "From recording an event to deciding, the oldest of each batch",
        )
        self._decisions = counter(registry, "decisions", "Decisions of triggers about events", ("outcome",))
        self._runs = counter(registry, "runs_started", "Runs that began")
        self._holes = counter(registry, "lane_holes", "Frames that did not follow what their lane had")
        self._attempts = counter(
            registry, "webhook_attempts", "Attempts to send a webhook", ("outcome", "code_class")
        )
        self._seconds = histogram(registry, "webhook_seconds", "Until a receiver answered, or did not")
        self._pending = gauge(registry, "pending_actions", "Webhooks that wait, counted up to 100000")
        self._overdue = gauge(
            registry, "pending_overdue_seconds", "How long the oldest due webhook has waited"
        )
        self._outbox = gauge(registry, "outbox_age_seconds", "How long the oldest message has waited")
        self._positions = gauge(registry, "lane_position_events", "How far each lane has come", ("lane",))

    def matched(
        self, events: Sequence[dict[str, Any]], decisions: Sequence[DecisionRow], started: int, holes: int
    ) -> None:
        """A batch of events was decided about and committed: `started` runs began, `holes` frames were refused."""
        self._events.inc(len(events))
        self._runs.inc(started)
        self._holes.inc(holes)
        for outcome, number in Counter(decision.outcome for decision in decisions).items():
            self._decisions.labels(outcome).inc(number)
        if events:
            oldest = min(events, key=lambda event: int(event["sequence"]))
            delay = datetime.now(UTC) - datetime.fromisoformat(oldest["recordedtime"])
            self._delay.observe(max(0.0, delay.total_seconds()))

    def attempted(self, outcomes: Iterable[Outcome]) -> None:
        """Attempts were made, and what came of them committed."""
        for outcome in outcomes:
            self._attempts.labels(outcome.kind.value, code_class(outcome.code)).inc()
            self._seconds.observe(outcome.latency_ms / 1000)

    def waiting(
        self, *, pending: int, overdue_seconds: float, outbox_seconds: float, positions: Sequence[int]
    ) -> None:
        """How things stand, looked at every few seconds."""
        self._pending.set(pending)
        self._overdue.set(overdue_seconds)
        self._outbox.set(outbox_seconds)
        for lane, position in enumerate(positions):
            self._positions.labels(f"{lane:02d}").set(position)


def code_class(code: str) -> str:
    """`http_503` as `http_5xx`, so that labels stay few; our own codes are few already."""
    return f"{code[:6]}xx" if code.startswith("http_") else code
