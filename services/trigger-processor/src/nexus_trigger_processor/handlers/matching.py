"""Matching: what waits in the lanes becomes decisions, runs and actions, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nexus_shared.crashpoints import crash_point
from nexus_shared.database import Database
from nexus_shared.database.outbox import Outbox
from nexus_shared.facts import fact_messages
from nexus_shared.lanes import Frame, Verdict, judge, lane_of, read_frame
from nexus_shared.messaging.delivery import Delivery
from nexus_trigger_processor.handlers.deciding import Decider, Plan
from nexus_trigger_processor.handlers.live_triggers import LiveTriggers
from nexus_trigger_processor.handlers.reacting import Reactions
from nexus_trigger_processor.measures import Measures
from nexus_trigger_processor.store.matching import LaneMove, MatchingStore, Written


@dataclass
class Intake:
    """What a batch of frames brings, given the positions its lanes had."""

    positions: dict[int, int]
    events: list[dict[str, Any]] = field(default_factory=list)
    holes: dict[int, int] = field(default_factory=dict)

    def take(self, frame: Frame) -> None:
        """Events above our position; a frame beyond a hole is dropped, and the hole remembered."""
        mine = self.positions[frame.lane]
        match judge(mine, frame.prev, frame.last):
            case Verdict.TAKE:
                self.events.extend(event for event in frame.events if int(event["sequence"]) > mine)
                self.positions[frame.lane] = frame.last
            case Verdict.HOLE:
                self.holes[frame.lane] = mine


class Matcher:
    """Reads the lanes (`prepare`, `commit`) and matches single events again (`match_again`)."""

    def __init__(
        self,
        database: Database,
        store: MatchingStore,
        triggers: LiveTriggers,
        decider: Decider,
        reactions: Reactions,
        outbox: Outbox,
        measures: Measures,
        *,
        on_actions: Callable[[], None],
        on_hole: Callable[[int, int], None],
    ) -> None:
        self._database, self._store, self._triggers, self._decider = database, store, triggers, decider
        self._reactions, self._outbox, self._measures = reactions, outbox, measures
        self._on_actions, self._on_hole = on_actions, on_hole

    async def prepare(self, batch: Sequence[Delivery]) -> list[Frame]:
        return [read_frame(delivery) for delivery in batch]

    async def commit(self, frames: Sequence[Frame]) -> None:
        """One transaction: lanes, decisions, runs, actions, facts. Then the sender is woken and facts go out."""
        async with self._database.transaction() as connection:
            before = await self._store.lock_lanes(connection, sorted({frame.lane for frame in frames}))
            intake = Intake(dict(before))
            for frame in frames:
                intake.take(frame)
            moves = [
                LaneMove(lane, position, int(lane in intake.holes))
                for lane, position in intake.positions.items()
                if position != before[lane] or lane in intake.holes
            ]
            if not moves:
                return
            plan = await self._plan(connection, intake.events)
            messages = fact_messages(plan.facts)
            written = Written([], 0)
            if plan.decisions:
                written = await self._store.write(
                    connection,
                    decisions=plan.decisions,
                    runs=plan.runs,
                    actions=plan.actions,
                    moves=moves,
                    outbox=messages,
                )
            else:
                await self._store.move(connection, moves)
            await self._reactions.apply(connection, intake.events)
            crash_point("match.before_commit")
        crash_point("match.after_commit")
        self._tell(plan, written.outbox_ids, messages, intake.holes)
        self._measures.matched(intake.events, plan.decisions, written.started, len(intake.holes))

    async def match_again(self, event: dict[str, Any]) -> int:
        """Decides about a recorded event once more; creates only what is missing and returns how many runs were.

        Its lane is locked like a batch's, so that no trigger is published between reading triggers and using them.
        """
        lane = lane_of(event["tenantid"], event.get("subject") or event["id"])
        async with self._database.transaction() as connection:
            await self._store.lock_lanes(connection, [lane])
            plan = await self._plan(connection, [event])
            messages = fact_messages(plan.facts)
            written = await self._store.write(
                connection, decisions=plan.decisions, runs=plan.runs, actions=plan.actions, outbox=messages
            )
        self._tell(plan, written.outbox_ids, messages, {})
        self._measures.matched((), (), written.started, 0)
        return written.started

    async def _plan(self, connection: Any, events: Sequence[dict[str, Any]]) -> Plan:
        keys = {(event["tenantid"], event["type"]) for event in events}
        await self._triggers.refresh(connection, keys)
        plan = Plan()
        for event in events:
            for live in self._triggers.of((event["tenantid"], event["type"])):
                self._decider.decide(event, live, plan)
        return plan

    def _tell(self, plan: Plan, ids: Sequence[int], messages: Sequence[Any], holes: dict[int, int]) -> None:
        if plan.actions:
            self._on_actions()
        self._outbox.post(ids, messages)
        for lane, after in holes.items():
            self._on_hole(lane, after)
