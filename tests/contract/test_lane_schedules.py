"""The relay's frames and the reader's rule together, over thousands of seeded schedules of everything that goes wrong.

Frames are lost, doubled and reordered; the relay crashes between publishing and saving, comes back as a zombie, or is
restored from an old cursor; the reader crashes before and after its commit; requests for a resend get lost. In the end
every lane must have every event once, in order. Two readers that leave a check out must fail.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from nexus_ingest.domain import frames
from nexus_ingest.domain.frames import Recorded, beacons, cut_frames
from nexus_shared.lanes import Frame, Verdict, judge, read_frame
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.messaging.publisher import Outgoing
from nexus_shared.testing.builders import NOW
from nexus_shared.topology import LANES
from nexus_trigger_processor.handlers.matching import Intake

SCHEDULES = 3_000
MUTANT_SCHEDULES = 300
STEPS = 250
USED_LANES = 4
ROUNDS = 60


class Cursor(NamedTuple):
    position: int
    lane_positions: list[int]


START = Cursor(0, [0] * LANES)


class NoGapCheck(Intake):
    """A reader that takes whatever lies above its position."""

    def take(self, frame: Frame) -> None:
        mine = self.positions[frame.lane]
        self.events.extend(event for event in frame.events if int(event["sequence"]) > mine)
        self.positions[frame.lane] = max(mine, frame.last)


class NoDuplicateCheck(Intake):
    """A reader that takes a frame as it comes, when nothing is missing before it."""

    def take(self, frame: Frame) -> None:
        mine = self.positions[frame.lane]
        if judge(mine, frame.prev, frame.last) is Verdict.HOLE:
            self.holes[frame.lane] = mine
            return
        self.events.extend(frame.events)
        self.positions[frame.lane] = max(mine, frame.last)


@dataclass
class Schedule:
    """One run. `channel` is what lies in the broker, `asks` the requests for a resend."""

    seed: int
    intake: type[Intake] = Intake
    log: list[Recorded] = field(default_factory=list)
    relay: Cursor = START
    saved: Cursor = START
    old: Cursor = START
    channel: list[Frame] = field(default_factory=list)
    asks: list[tuple[int, int]] = field(default_factory=list)
    asked: dict[int, int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(LANES), 0))
    applied: list[list[int]] = field(default_factory=lambda: [[] for _ in range(LANES)])
    resent: int = 0

    def is_right(self) -> bool:
        """Runs the schedule; True when every lane has every event once, in order."""
        self.chance = random.Random(self.seed)
        self.faulty = True
        for _ in range(STEPS):
            self._step()
        self.faulty = False
        for _ in range(ROUNDS):
            if self._settle():
                break
        return self.applied == [[e.position for e in self.log if e.lane == lane] for lane in range(LANES)]

    def _step(self) -> None:
        dice = self.chance.random()
        if dice < 0.30:
            self._append()
        elif dice < 0.55:
            self._relay_some()
        elif dice < 0.57:
            self.relay = self.saved = self.old  # the database was restored
        elif dice < 0.62:
            self._send(beacons(self.relay.lane_positions, 0))
        elif dice < 0.70:
            self._resend()
        else:
            self._read()

    def _settle(self) -> bool:
        while self.relay.position < len(self.log):
            self.relay = self._published(self.relay, 50)
        self.saved = self.relay
        self._send(beacons(self.relay.lane_positions, 0))
        self._resend()
        while self.channel:
            self._read()
        return not self.asks and [*self.positions.values()] == self.relay.lane_positions

    def _append(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            position = len(self.log) + 1
            lane = self.chance.randrange(USED_LANES)
            self.log.append(Recorded(position, NOW, lane, "t", "a.b", "", b'{"sequence":"%d"}' % position))

    def _relay_some(self) -> None:
        self.relay = self._published(self.relay, self.chance.randint(1, 8))
        dice = self.chance.random()
        if dice < 0.15:
            self.relay = self.saved  # it crashed before it could save
            return
        if dice < 0.20:
            self._published(self.old, 5)  # a zombie goes on from where it once was
        else:
            self.old = self.saved
        self.saved = self.relay

    def _published(self, cursor: Cursor, most: int) -> Cursor:
        events = self.log[cursor.position : cursor.position + most]
        cut = cut_frames(events, cursor.lane_positions, 0)
        self._send(cut.messages)
        return Cursor(cursor.position + len(events), cut.lane_positions)

    def _resend(self) -> None:
        for lane, after in self.asks:
            until = self.saved.lane_positions[lane]
            events = [event for event in self.log[after:until] if event.lane == lane]
            self._send(cut_frames(events, [after] * LANES, 0).messages)
            self.resent += len(events)
        self.asks.clear()

    def _send(self, messages: list[Outgoing]) -> None:
        for message in messages:
            frame = read_frame(Delivery(message.body, headers=message.headers))
            dice = self.chance.random() if self.faulty else 0.5
            if dice < 0.06:
                continue
            self.channel.append(frame)
            if dice > 0.94:
                self.channel.append(frame)

    def _read(self) -> None:
        """A batch of one to five frames in one transaction, usually in the order of the queue."""
        if self.faulty and self.chance.random() < 0.15 and self.channel:
            self.channel.append(self.channel.pop(self.chance.randrange(len(self.channel))))
        batch = self.channel[: self.chance.randint(1, 5)]
        intake = self.intake(dict(self.positions))
        for frame in batch:
            intake.take(frame)
        if self.faulty and self.chance.random() < 0.05:
            return  # a crash before the commit: everything comes again
        self._commit(intake)
        self._ask(intake.holes, {frame.lane for frame in batch if not frame.events})
        if self.faulty and self.chance.random() < 0.05:
            return  # a crash after the commit, before the ack
        del self.channel[: len(batch)]

    def _commit(self, intake: Intake) -> None:
        for event in intake.events:
            position = int(event["sequence"])
            self.applied[self.log[position - 1].lane].append(position)
        self.positions = intake.positions

    def _ask(self, holes: dict[int, int], beaconed: set[int]) -> None:
        """Once per place; a beacon that still shows the hole asks again."""
        for lane, mine in holes.items():
            if self.asked.get(lane) == mine and lane not in beaconed:
                continue
            self.asked[lane] = mine
            if not self.faulty or self.chance.random() > 0.1:
                self.asks.append((lane, mine))


@pytest.fixture(autouse=True)
def short_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAME_EVENTS", 3)


def failing(schedules: int, intake: type[Intake]) -> list[int]:
    return [seed for seed in range(schedules) if not Schedule(seed, intake).is_right()]


def test_every_schedule_of_losses_crashes_and_zombies_heals() -> None:
    wrong = failing(SCHEDULES, Intake)
    assert wrong == [], (
        f"{len(wrong)} of {SCHEDULES} schedules: Schedule(seed={wrong[0]}).is_right() shows it"
    )


def test_schedules_are_hard_enough_to_mean_something() -> None:
    schedules = [Schedule(seed) for seed in range(50)]
    assert all(schedule.is_right() for schedule in schedules)
    assert sum(schedule.resent for schedule in schedules) > 50 * 20
    assert sum(len(schedule.log) for schedule in schedules) > 50 * 100


@pytest.mark.parametrize("mutant", [NoGapCheck, NoDuplicateCheck])
def test_a_reader_without_one_of_the_checks_fails(mutant: type[Intake]) -> None:
    assert len(failing(MUTANT_SCHEDULES, mutant)) > MUTANT_SCHEDULES * 0.9
