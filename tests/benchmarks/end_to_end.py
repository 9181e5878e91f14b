"""(c) From the inbound queue through one matching trigger to a delivered webhook; and the naive handler."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks import events, naive_store, triggers
from benchmarks.filling import fill, publish
from benchmarks.ingesting import first_append, wait_for_first_append
from benchmarks.processes import (
    HttpProcess,
    MeasurementInvalid,
    Process,
    module_command,
    module_environment,
    until,
)
from benchmarks.receiver import Receiver
from benchmarks.report import Report
from benchmarks.stage import Place, Stage

ROLES = "record,relay"
FACTS_PER_EVENT = 3
"""The event itself, `automation.trigger_fired` and `automation.action_succeeded`: all are recorded and relayed."""
ABOUT = (
    "(c) ingest (roles record,relay) and trigger-processor (match,send), one process each, and a bare receiver; the "
    "events wait in the inbound queue beforehand; every tenant has one trigger per event type (three clauses, a signed "
    "webhook with the whole event), so each event goes through exactly one matching trigger. From the first append to "
    "the arrival of the last webhook. Each event also makes two facts (fired, succeeded) that go through the same log: "
    "e2e_settled_eps counts until those are recorded and processed too, e2e_live_eps is measured while the events are "
    "being published"
)


@dataclass(frozen=True)
class Pipeline:
    """Both services and the receiver, running."""

    place: Place
    ingest: HttpProcess
    triggers: HttpProcess
    receiver: Receiver

    @property
    def processes(self) -> tuple[Process, ...]:
        return self.ingest, self.triggers, self.receiver


async def measure(stage: Stage, report: Report) -> None:
    report.about(ABOUT)
    await _from_a_full_queue(stage, report)
    await _while_publishing(stage, report)
    await _naive(stage, report)


@asynccontextmanager
async def pipeline(
    place: Place,
    *,
    ingest_roles: str,
    before_ingest: Sequence[events.Sample] = (),
    has_fanout: bool = False,
) -> AsyncIterator[Pipeline]:
    """Ready to work; with events that wait in the queue, trigger-processor is ready before ingest begins."""
    with ExitStack() as running:
        receiver = running.enter_context(Receiver(place))
        await receiver.listening()
        pairs = [(events.tenant(number), type) for number in range(events.TENANTS) for type in events.TYPES]
        await triggers.publish(place.admin, [triggers.trigger(*pair) for pair in pairs], receiver.hook)
        await fill(place, events.singles(before_ingest)) if before_ingest else await place.settle()
        matcher = place.service("trigger-processor", NEXUS_OUTBOUND_ALLOW=receiver.address)
        running.enter_context(matcher)
        await matcher.ready()
        ingest = running.enter_context(place.service("ingest", NEXUS_ROLES=ingest_roles))
        if not before_ingest:
            await ingest.ready()
        if has_fanout:
            running.enter_context(place.service("ingest", NEXUS_ROLES="fanout"))
        yield Pipeline(place, ingest, matcher, receiver)


async def _from_a_full_queue(stage: Stage, report: Report) -> None:
    facts = events.samples(stage.scale.e2e)
    async with (
        stage.place() as place,
        pipeline(place, ingest_roles=ROLES, before_ingest=facts, has_fanout=stage.has_fanout) as line,
    ):
        await wait_for_first_append(place, *line.processes)
        meter = place.meter(*line.processes)
        async with stage.profiler.watching("e2e_eps", place.admin, line.ingest, line.triggers):
            stats = await line.receiver.wait_for(len(facts), *line.processes)
        report.cpu("e2e_eps", meter.per_event(len(facts)))
        began_at, _ = await first_append(place)
        report.add("e2e_eps", len(facts) / (stats["last_at"] - began_at))
        report.add("e2e_settled_eps", len(facts) / (await _settled(line, len(facts)) - began_at))
        report.cpu("e2e_settled_eps", meter.per_event(len(facts)))


async def _settled(line: Pipeline, count: int) -> float:
    """When every fact that the webhooks made is recorded and read by trigger-processor, and no row waits."""

    async def is_settled() -> bool:
        return bool(
            await line.place.value(
                "select last_position >= $1 and last_position = (select max(position) from trigger_processor.lanes)"
                " and not exists (select from trigger_processor.pending_actions)"
                " and not exists (select from trigger_processor.outbox) from ingest.log_head",
                count * FACTS_PER_EVENT,
            )
        )

    await until(is_settled, 300, "all facts to be recorded", *line.processes, every=0.1)
    await _check(line.place, count)
    return time.time()


async def _check(place: Place, count: int) -> None:
    """One log entry per fact, every run succeeded at the first attempt, nothing went astray."""
    found = {
        "facts": await place.value("select count(*) from ingest.automation_events"),
        "succeeded": await place.value(
            "select count(*) from trigger_processor.runs where status = 'succeeded'"
        ),
        "attempts": await place.value("select count(*) from trigger_processor.attempts"),
        "quarantined": await place.value("select count(*) from ingest.quarantine"),
    }
    wanted = {"facts": count * FACTS_PER_EVENT, "succeeded": count, "attempts": count, "quarantined": 0}
    if found != wanted:
        raise MeasurementInvalid(f"found {found}, expected {wanted}")


async def _while_publishing(stage: Stage, report: Report) -> None:
    facts = events.samples(stage.scale.e2e_live)
    messages = events.singles(facts)
    async with (
        stage.place() as place,
        pipeline(place, ingest_roles=ROLES, has_fanout=stage.has_fanout) as line,
    ):
        started = time.time()
        await publish(place, messages)
        report.add("e2e_live_publish_eps", len(facts) / (time.time() - started))
        stats = await line.receiver.wait_for(len(facts), *line.processes)
        report.add("e2e_live_eps", len(facts) / (stats["last_at"] - started))


async def _naive(stage: Stage, report: Report) -> None:
    """The baseline: from the first webhook to the last."""
    count = stage.scale.naive_e2e
    async with stage.place() as place:
        await naive_store.prepare(place)
        await fill(place, events.singles(events.samples(count)))
        with Receiver(place) as receiver:
            await receiver.listening()
            environment = module_environment(
                {**place.environment("ingest"), "NAIVE_RECEIVER_URL": receiver.hook}
            )
            with Process(
                "naive", module_command("naive", "e2e"), environment, place.logs / "naive.log"
            ) as naive:
                await receiver.first(naive)
                meter = place.meter(naive, receiver)
                stats = await receiver.wait_for(count, naive)
                report.cpu("naive_e2e_eps", meter.per_event(count))
        report.add("naive_e2e_eps", (count - 1) / (stats["last_at"] - stats["first_at"]))
