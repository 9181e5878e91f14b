"""(b) HTTP intake: POST /v1/events from another process, single events and batches of 100."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import events
from benchmarks.ingesting import ROLES, check_log
from benchmarks.processes import (
    HttpProcess,
    MeasurementInvalid,
    answer_of,
    module_command,
    module_environment,
)
from benchmarks.report import Report
from benchmarks.stage import Stage, token_signer
from nexus_shared.access.principal import Scope
from nexus_shared.ids import TenantId

CONNECTIONS = 64
ABOUT = (
    f"(b) {CONNECTIONS} keep-alive connections of an aiohttp client in another process, one API key per tenant, each "
    "request answered 202 after its events are recorded; from the first request to the last answer. The limit of 2,000 "
    "events/s per key is lifted. One ingest process (roles record,relay), its relay running"
)


async def measure(stage: Stage, report: Report) -> None:
    report.about(ABOUT)
    await _post(stage, report, "http_single_eps", stage.scale.http_single, size=1)
    await _post(stage, report, "http_batch_eps", stage.scale.http_batch, size=events.BATCH_EVENTS)


async def _post(stage: Stage, report: Report, name: str, count: int, *, size: int) -> None:
    async with stage.place() as place:
        await place.settle()
        with place.service("ingest", NEXUS_ROLES=ROLES) as ingest:
            await ingest.ready()
            meter = place.meter(ingest)
            async with stage.profiler.watching(name, place.admin, ingest):
                answer = await _client(ingest, count, size)
            report.cpu(name, {**meter.per_event(count), "client": answer["cpu_seconds"] / count * 1e6})
        if answer["by_status"] != {"202 stored": count}:
            raise MeasurementInvalid(f"answers: {answer['by_status']}, expected {count} stored")
        await check_log(place, count)
        report.add(name, count / answer["seconds"])


async def _client(ingest: HttpProcess, count: int, size: int) -> dict[str, Any]:
    given = {
        "url": f"{ingest.url}/v1/events",
        "tokens": _tokens(),
        "count": count,
        "size": size,
        "connections": CONNECTIONS,
    }
    answer: dict[str, Any] = await answer_of(
        module_command("http_client"), module_environment(os.environ), given
    )
    return answer


def _tokens() -> dict[str, str]:
    """A key per tenant."""
    signer, expires_at = token_signer(), datetime.now(UTC) + timedelta(hours=4)
    tenants = [TenantId(events.tenant(number)) for number in range(events.TENANTS)]
    return {
        tenant: signer.issue("benchmark", tenant, [Scope.EVENTS_WRITE], expires_at)[0] for tenant in tenants
    }
