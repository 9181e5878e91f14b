"""What is counted, and that labels stay few."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from nexus_trigger_processor.measures import Measures, code_class
from nexus_trigger_processor.retries import Outcome, OutcomeKind


def an_event(position: int, seconds_ago: float) -> dict[str, Any]:
    return {
        "sequence": str(position),
        "recordedtime": (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(),
    }


def test_a_batch_counts_its_events_decisions_runs_and_the_oldest_ones_delay() -> None:
    registry = CollectorRegistry()
    measures = Measures(registry)
    decisions: Any = [SimpleNamespace(outcome=outcome) for outcome in ("fired", "fired", "not_matched")]
    measures.matched([an_event(10, 0), an_event(9, 3)], decisions, 2, 1)
    measures.matched([], [], 0, 1)
    value = registry.get_sample_value
    assert value("nexus_events_matched_total") == 2
    assert value("nexus_decisions_total", {"outcome": "fired"}) == 2
    assert value("nexus_decisions_total", {"outcome": "not_matched"}) == 1
    assert value("nexus_runs_started_total") == 2
    assert value("nexus_lane_holes_total") == 2
    assert value("nexus_matching_delay_seconds_count") == 1
    assert 3 <= (value("nexus_matching_delay_seconds_sum") or 0) < 4


def test_attempts_are_counted_by_outcome_and_class_of_code() -> None:
    registry = CollectorRegistry()
    measures = Measures(registry)
    measures.attempted(
        [
            Outcome(OutcomeKind.SUCCEEDED, "http_204", "", 120.0, status=204),
            Outcome(OutcomeKind.SUCCEEDED, "http_200", "", 80.0, status=200),
            Outcome(OutcomeKind.UNKNOWN, "timeout", "", 15_000.0),
        ]
    )
    labels = {"outcome": "succeeded", "code_class": "http_2xx"}
    assert registry.get_sample_value("nexus_webhook_attempts_total", labels) == 2
    assert round(registry.get_sample_value("nexus_webhook_seconds_sum") or 0, 3) == 15.2


def test_codes_of_receivers_become_classes_and_ours_stay() -> None:
    assert [code_class(code) for code in ("http_200", "http_418", "http_599", "dns", "refused")] == [
        "http_2xx",
        "http_4xx",
        "http_5xx",
        "dns",
        "refused",
    ]
