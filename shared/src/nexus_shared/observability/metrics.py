"""Metrics: one registry per process, names `nexus_<thing>_<unit>`, labels from small fixed sets.

A tenant, an id, a subject or a routing key is never a label: each value would be a time series for ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets for durations, from one append to one slow webhook."""

BATCH = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
"""Buckets for how many things were handled in one go."""

UNITS = frozenset({"seconds", "bytes", "ratio", "events", "frames", "runs", "actions", "rows", "connections"})
UNBOUNDED = frozenset(
    {
        "tenant",
        "tenant_id",
        "subject",
        "routing_key",
        "id",
        "event_id",
        "run_id",
        "trigger_id",
        "lead_id",
        "path",
    }
)

_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")


def new_registry(service: str) -> CollectorRegistry:
    """The registry of a process: its memory, CPU and open files, and `nexus_service_info{service}`."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Info("nexus_service", "The service this process runs", registry=registry).info({"service": service})
    return registry


def counter(registry: CollectorRegistry, thing: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
    """`nexus_<thing>_total`, only ever rising: counter(registry, "events_recorded", …)."""
    return Counter(_name(thing), meaning, _bounded(labels), registry=registry)


def gauge(registry: CollectorRegistry, thing: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
    """`nexus_<thing>`, ending in one of UNITS: gauge(registry, "outbox_age_seconds", …)."""
    return Gauge(_with_unit(thing), meaning, _bounded(labels), registry=registry)


def histogram(
    registry: CollectorRegistry,
    thing: str,
    meaning: str,
    labels: Sequence[str] = (),
    buckets: Sequence[float] = SECONDS,
) -> Histogram:
    """`nexus_<thing>`, ending in one of UNITS: histogram(registry, "append_seconds", …)."""
    return Histogram(_with_unit(thing), meaning, _bounded(labels), registry=registry, buckets=buckets)


def _name(thing: str) -> str:
    if _NAME.match(thing) is None or thing.startswith("nexus_"):
        raise ValueError(
            f"A metric is named for its thing in snake case, without the prefix nexus_; not '{thing}'."
        )
    return f"nexus_{thing}"


def _with_unit(thing: str) -> str:
    if thing.rpartition("_")[2] not in UNITS:
        raise ValueError(f"The metric '{thing}' must end in a unit: {', '.join(sorted(UNITS))}.")
    return _name(thing)


def _bounded(labels: Sequence[str]) -> Sequence[str]:
    if unbounded := UNBOUNDED.intersection(labels):
        raise ValueError(f"'{min(unbounded)}' takes any number of values and cannot be a label.")
    return labels
