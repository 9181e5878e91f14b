"""How much is measured: enough for seconds of steady work, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Numbers of events, except where the name says seconds or rounds."""

    ingest: int = 60_000
    ingest_batch: int = 120_000
    naive_ingest: int = 20_000
    raw: int = 30_000
    http_single: int = 20_000
    http_batch: int = 100_000
    e2e: int = 20_000
    e2e_live: int = 10_000
    naive_e2e: int = 3_000
    latency_seconds: float = 30.0
    rest_seconds: float = 10.0
    match: int = 20_000
    match_rounds: int = 5
    stored: int = 1_000_000
    append_rounds: int = 20


FULL = Scale()
QUICK = Scale(
    ingest=5_000,
    ingest_batch=10_000,
    naive_ingest=2_000,
    raw=3_000,
    http_single=2_000,
    http_batch=10_000,
    e2e=2_000,
    e2e_live=1_000,
    naive_e2e=400,
    latency_seconds=5.0,
    rest_seconds=3.0,
    match=2_000,
    match_rounds=3,
    stored=50_000,
    append_rounds=6,
)
