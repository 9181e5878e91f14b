"""(a) From a full inbound queue until every event is out on `nexus.log`: one ingest process, and the naive handler."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from benchmarks import events, naive_store
from benchmarks.filling import fill
from benchmarks.processes import MeasurementInvalid, Process, module_command, module_environment, until
from benchmarks.report import Report
from benchmarks.stage import Place, Stage
from nexus_shared.lanes import Frame, read_frame
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.messaging.publisher import Outgoing
from nexus_shared.topology import LANES, LOG_READERS, log_queue

MOST_SECONDS = 300
ROLES = "record,relay"
ABOUT = (
    "(a) one ingest process (roles record,relay) reads a queue that was full before it started; from the first "
    "append until the relay's saved cursor has passed the last event, the events of the first append not counted. "
    "The fan-out to nexus.events is its own process under load: it does not run here unless --fanout is given. "
    "Afterwards every event is counted in the log and read back from nexus.log"
)


@dataclass(frozen=True)
class Passage:
    """How the relay's cursor advanced: (clock, position), the last with every event out."""

    steps: Sequence[tuple[float, int]]

    def since(self, moment: float, position: int) -> float:
        """Events per second from a moment, and the position reached by then, to the end."""
        ended_at, last = self.steps[-1]
        return (last - position) / (ended_at - moment)

    def steady(self) -> float:
        """Events per second between the first tenth and the end."""
        return self.since(*next(step for step in self.steps if step[1] >= self.steps[-1][1] // 10))


async def measure(stage: Stage, report: Report) -> None:
    report.about(ABOUT)
    facts = events.samples(stage.scale.ingest_batch)
    single = facts[: stage.scale.ingest]
    report.about(f"{events.ABOUT}; mean {events.mean_bytes(single)} bytes")
    await _ingest(stage, report, "ingest_eps", events.singles(single), len(single))
    await _ingest(stage, report, "ingest_batch_eps", events.batches(facts), len(facts))
    await _naive(stage, report, events.singles(facts[: stage.scale.naive_ingest]))


async def _ingest(stage: Stage, report: Report, name: str, messages: Sequence[Outgoing], count: int) -> None:
    async with stage.place() as place:
        report.add(f"fill_{name.removesuffix('_eps')}_mps", await fill(place, messages))
        with ExitStack() as running:
            ingest = running.enter_context(place.service("ingest", NEXUS_ROLES=ROLES))
            if stage.has_fanout:
                running.enter_context(place.service("ingest", NEXUS_ROLES="fanout"))
            await wait_for_first_append(place, ingest)
            meter = place.meter(ingest)
            async with stage.profiler.watching(name, place.admin, ingest):
                passage = await follow_relay(place, count, ingest)
            first = passage.steps[0][1]
            report.cpu(name, meter.per_event(count - first))
        report.add(name, passage.since(*await first_append(place)))
        report.add(f"{name.removesuffix('_eps')}_steady_eps", passage.steady())
        await check_log(place, count)
        report.add(f"{name.removesuffix('_eps')}_events_per_frame", await check_frames(place, count))


async def wait_for_first_append(place: Place, *processes: Process) -> None:
    async def has_begun() -> bool:
        return bool(await place.value("select last_position > 0 from ingest.log_head"))

    await until(has_begun, 60, "the first append", *processes, every=0.01)


async def first_append(place: Place) -> tuple[float, int]:
    """(clock, position): when the first append began, by the database's clock, and where it ended."""
    row = await place.admin.fetchrow(
        "select recorded_at, last_position from ingest.log_blocks order by last_position limit 1"
    )
    assert row is not None
    began_at: datetime = row["recorded_at"]
    return began_at.timestamp(), row["last_position"]


async def follow_relay(place: Place, count: int, *processes: Process) -> Passage:
    """Until the relay has passed position `count`, seen within about 100 ms: it saves its cursor that often."""
    steps: list[tuple[float, int]] = []

    async def is_past() -> bool:
        position = int(await place.value("select position from ingest.relays where name = 'log'"))
        steps.append((time.time(), position))
        return position >= count

    await until(is_past, MOST_SECONDS, f"{count} events out on nexus.log", *processes, every=0.02)
    return Passage(steps)


async def check_log(place: Place, count: int) -> None:
    """Every event is recorded, none is in quarantine."""
    recorded = await place.value("select count(*) from ingest.automation_events")
    quarantined = await place.value("select count(*) from ingest.quarantine")
    if (recorded, quarantined) != (count, 0):
        raise MeasurementInvalid(f"{recorded} of {count} events recorded, {quarantined} quarantined")


async def check_frames(place: Place, count: int) -> float:
    """Every position is in a frame on nexus.log, each lane without a hole; returns the events per frame."""
    lanes = _Lanes()
    connection = await aio_pika.connect(place.vhost.url)
    async with connection, connection.channel() as channel:
        await channel.set_qos(prefetch_count=200)
        for lane in range(LANES):
            queue = await channel.get_queue(log_queue(LOG_READERS[0], lane), ensure=False)
            await queue.consume(lanes.take)

        async def is_complete() -> bool:
            return len(lanes.seen) >= count

        await until(is_complete, 60, f"{count} events to come out of nexus.log", every=0.1)
    if lanes.holes or lanes.seen != set(range(1, count + 1)):
        raise MeasurementInvalid(f"nexus.log: holes {lanes.holes}, {len(lanes.seen)} of {count} events")
    return count / lanes.frames


class _Lanes:
    """What came out of the lanes' queues."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.holes: list[Frame] = []
        self.frames = 0
        self._positions = [0] * LANES

    async def take(self, message: AbstractIncomingMessage) -> None:
        frame = read_frame(Delivery(message.body, headers=message.headers))
        if frame.prev > self._positions[frame.lane]:
            self.holes.append(frame)
        self._positions[frame.lane] = frame.last
        self.frames += bool(frame.events)  # a beacon has none
        self.seen.update(int(event["sequence"]) for event in frame.events)
        await message.ack()


async def _naive(stage: Stage, report: Report, messages: Sequence[Outgoing]) -> None:
    """The baseline: one handler, one insert, one ack per event; from its first insert to its last."""
    report.about(naive_store.ABOUT)
    async with stage.place() as place:
        await naive_store.prepare(place)
        await fill(place, messages)
        environment = module_environment(place.environment("ingest"))
        with Process(
            "naive", module_command("naive", "ingest"), environment, place.logs / "naive.log"
        ) as naive:
            await naive_store.wait_for(place, 1, naive)
            meter = place.meter(naive)
            async with stage.profiler.watching("naive_ingest_eps", place.admin, naive):
                await naive_store.wait_for(place, len(messages), naive)
            report.cpu("naive_ingest_eps", meter.per_event(len(messages)))
        report.add("naive_ingest_eps", await naive_store.rate(place))
