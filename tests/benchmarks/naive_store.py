"""The table of the naive baselines: what a plain service would keep, nothing sealed, nothing relayed."""

from __future__ import annotations

from benchmarks.processes import Process, until
from benchmarks.stage import Place

ABOUT = (
    "naive baselines: one FastStream handler (raw bytes, asynchronous decoder, uvloop: its fastest form), prefetch "
    "100, pool of 10, the same validation (envelope and catalogue), one insert, ack; naive_e2e_eps also evaluates the "
    "same condition and POSTs with one httpx client. Nothing is sealed, relayed, signed, decided, retried or reported"
)
_TABLE = """
    create schema naive;
    create table naive.events (
        id bigint generated always as identity primary key,
        recorded_at timestamptz not null default clock_timestamp(),
        tenant_id text not null, source text not null, event_id text not null, type text not null, subject text,
        occurred_at timestamptz, data json not null,
        unique (tenant_id, source, event_id));
    grant usage on schema naive to ingest;
    grant insert on naive.events to ingest;
"""
INSERT = (
    "insert into naive.events (tenant_id, source, event_id, type, subject, occurred_at, data)"
    " values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing"
)
MOST_SECONDS = 300


async def prepare(place: Place) -> None:
    await place.admin.execute(_TABLE)


async def wait_for(place: Place, count: int, process: Process) -> None:
    """Returns when `count` events are there. Asks the sequence first: counting is only cheap when it is rare."""

    async def is_there() -> bool:
        taken = await place.value(
            "select coalesce(pg_sequence_last_value('naive.events_id_seq'::regclass), 0) >= $1", count
        )
        return bool(taken) and await place.value("select count(*) from naive.events") >= count

    await until(is_there, MOST_SECONDS, f"{count} events in naive.events", process, every=0.05)


async def rate(place: Place) -> float:
    """Events per second from the first insert to the last."""
    return float(
        await place.value(
            "select (count(*) - 1) / extract(epoch from max(recorded_at) - min(recorded_at)) from naive.events"
        )
    )
