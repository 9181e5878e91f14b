"""What must be reached on a machine with two cores, everything on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Figure = Callable[[str], float | None]
"""The value of a figure by name; None when it was not measured."""


@dataclass(frozen=True)
class Floor:
    """A bound of `figure`, or of `figure` divided by `base`; either at least or at most."""

    name: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    base: str | None = None

    def value(self, figure: Figure) -> float | None:
        """What is judged; None when something of it was not measured."""
        value = figure(self.figure)
        if self.base is None or value is None:
            return value
        base = figure(self.base)
        return None if base is None else value / base

    def is_met(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most

    @property
    def wanted(self) -> str:
        return f"≥ {self.at_least:,g}" if self.at_least is not None else f"≤ {self.at_most:,g}"

    def as_json(self, value: float) -> dict[str, Any]:
        bound = {"at_least": self.at_least} if self.at_least is not None else {"at_most": self.at_most}
        return {**bound, "value": round(value, 3), "met": self.is_met(value)}


FLOORS = (
    Floor("ingest_eps", "ingest_eps", at_least=6_000),
    Floor("ingest_batch_eps", "ingest_batch_eps", at_least=15_000),
    Floor("ingest_eps / naive_ingest_eps", "ingest_eps", at_least=3, base="naive_ingest_eps"),
    Floor("e2e_eps", "e2e_eps", at_least=1_200),
    Floor("latency_p50_ms", "latency_p50_ms", at_most=12),
    Floor("latency_p99_ms", "latency_p99_ms", at_most=50),
    Floor("rss_mb.ingest", "rss_mb.ingest", at_most=120),
    Floor("rss_mb.trigger-processor", "rss_mb.trigger-processor", at_most=120),
    Floor("match_cost_ratio_100k", "match_cost_ratio_100k", at_most=1.3),
    Floor("append_ratio", "append_ratio", at_least=0.8),
)
