"""(d) From publish to the webhook's arrival, at 50 events a second."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Sequence

from benchmarks import events, triggers
from benchmarks.end_to_end import Pipeline, pipeline
from benchmarks.processes import MeasurementInvalid
from benchmarks.report import Report
from benchmarks.stage import Stage
from nexus_shared.ids import derive
from nexus_shared.messaging.publisher import Outgoing, Publisher
from nexus_trigger_processor.handlers.deciding import run_id_of

RATE = 50
WARM_UP_SECONDS = 2.0
CLOCK_MS = 1.0
ABOUT = (
    f"(d) {RATE} events/s, gaps of 10 to 30 ms, the first {WARM_UP_SECONDS:.0f} s not counted; ingest with all roles "
    "(fan-out too) and trigger-processor, one process each; from just before the publish call to the arrival at "
    "the bare receiver, both on this machine's clock, which is checked against the monotonic one"
)


async def measure(stage: Stage, report: Report) -> None:
    report.about(ABOUT)
    facts = events.samples(round((stage.scale.latency_seconds + WARM_UP_SECONDS) * RATE))
    async with (
        stage.place() as place,
        pipeline(place, ingest_roles="record,relay,fanout") as line,
    ):
        offset = _clock_offset_ms()
        meter = place.meter(*line.processes)
        async with stage.profiler.watching("latency", place.admin, line.ingest, line.triggers):
            published_at = await _publish(line, events.singles(facts))
        await line.receiver.wait_for(len(facts), *line.processes, seconds=60)
        report.cpu("latency_p50_ms", meter.per_event(len(facts)))
        if abs(_clock_offset_ms() - offset) > CLOCK_MS:
            raise MeasurementInvalid("The machine's clock was set while latencies were measured")
        arrived_at = await line.receiver.arrivals()
    waits = _waits_ms(facts, published_at, arrived_at)[round(WARM_UP_SECONDS * RATE) :]
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    report.add("latency_p50_ms", cuts[49])
    report.add("latency_p99_ms", cuts[98])
    report.add("latency_max_ms", max(waits))


async def _publish(line: Pipeline, messages: Sequence[Outgoing]) -> list[float]:
    """When each was published; nobody waits for another's confirm."""
    publisher = Publisher(line.place.vhost.url, "benchmark", timeout=30)
    published_at: list[float] = []
    gaps = random.Random(7)
    next_at = time.monotonic() + 0.1
    async with asyncio.TaskGroup() as sending:
        await publisher.is_connected()
        for message in messages:
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            published_at.append(time.time())
            sending.create_task(publisher.publish([message]))
            next_at += gaps.uniform(0.5, 1.5) / RATE
    await publisher.close()
    return published_at


def _waits_ms(
    facts: Sequence[events.Sample], published_at: Sequence[float], arrived_at: dict[str, float]
) -> list[float]:
    return [
        (arrived_at[_webhook_id(fact)] - moment) * 1000
        for fact, moment in zip(facts, published_at, strict=True)
    ]


def _webhook_id(fact: events.Sample) -> str:
    """Derived as trigger-processor does: run from trigger and event, action from run and step."""
    trigger = triggers.trigger(fact.tenant_id, fact.type)
    event = {"tenantid": fact.tenant_id, "source": fact.source, "id": fact.event_id}
    return str(derive(run_id_of(trigger.trigger_id, event), triggers.ACTION))


def _clock_offset_ms() -> float:
    return (time.time() - time.monotonic()) * 1000
