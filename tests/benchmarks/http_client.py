"""`python -m benchmarks.http_client`: publishes over HTTP as fast as it is answered; job and answer as JSON.

Reads {url, tokens by tenant, count of events, size of a request, connections}; writes {seconds, cpu_seconds,
by_status}, where a status is "202 stored" and the like, counted per event.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import uvloop

from benchmarks import events
from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.wire import batch_body

Request = tuple[bytes, dict[str, str], int]
"""Body, headers, number of events."""


def requests(job: dict[str, Any]) -> list[Request]:
    facts = events.samples(job["count"])
    parts = [[fact] for fact in facts] if job["size"] == 1 else list(events.parts_by_tenant(facts))
    return [_request(part, job["tokens"][part[0].tenant_id], is_batch=job["size"] > 1) for part in parts]


def _request(part: list[events.Sample], token: str, *, is_batch: bool) -> Request:
    body = batch_body([fact.body for fact in part]) if is_batch else part[0].body
    headers = {"Content-Type": BATCH if is_batch else STRUCTURED, "Authorization": f"Bearer {token}"}
    return body, headers, len(part)


async def post(
    session: aiohttp.ClientSession, url: str, waiting: Iterator[Request], by_status: Counter[str]
) -> None:
    for body, headers, _ in waiting:
        async with session.post(url, data=body, headers=headers) as answer:
            told = await answer.json()
            for result in told.get("results", [told]):
                by_status[f"{answer.status} {result.get('status')}"] += 1


async def run(job: dict[str, Any]) -> dict[str, Any]:
    made = requests(job)
    by_status: Counter[str] = Counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=job["connections"])) as session:
        started, cpu, waiting = time.perf_counter(), time.process_time(), iter(made)
        await asyncio.gather(
            *(post(session, job["url"], waiting, by_status) for _ in range(job["connections"]))
        )
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "by_status": by_status,
    }


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(json.load(sys.stdin)))))
