"""Talking to ingest about the lanes: asking for what was missed, telling how far we are."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import structlog

from nexus_shared.crashpoints import crash_point
from nexus_shared.envelope import STRUCTURED, Command
from nexus_shared.ids import PLATFORM
from nexus_shared.messaging.publisher import Outgoing, Publisher
from nexus_shared.topology import COMMANDS
from nexus_trigger_processor.store.platform import PlatformStore

log = structlog.get_logger(__name__)

ASK_SECONDS = 1.0
REPORT_SECONDS = 10.0


class LaneReports:
    """At most one request a second per lane; a request or report that gets lost is simply made again."""

    def __init__(self, publisher: Publisher, store: PlatformStore) -> None:
        self._publisher, self._store = publisher, store
        self._holes: dict[int, int] = {}
        self._asked_at: dict[int, float] = {}
        self._reported: list[int] = []
        self._reported_at = 0.0
        self.wake = asyncio.Event()

    def hole(self, lane: int, after: int) -> None:
        """A frame on `lane` did not follow what we have, which ends at `after`."""
        self._holes[lane] = after
        self.wake.set()

    async def ask(self) -> None:
        """A job's step: `ingest.resend` for lanes with holes."""
        now = time.monotonic()
        due = [lane for lane in self._holes if now - self._asked_at.get(lane, 0.0) >= ASK_SECONDS]
        if not due:
            return
        messages = [command("ingest.resend", {"lane": lane, "after": self._holes.pop(lane)}) for lane in due]
        self._asked_at.update(dict.fromkeys(due, now))
        crash_point("holes.before_ask")
        await self._publisher.publish(messages)
        crash_point("holes.after_ask")
        log.info("holes_reported", lanes=due)

    async def report(self) -> None:
        """A job's step: our 16 positions, when they moved, and every ten seconds anyway."""
        positions = await self._store.lane_positions()
        now = time.monotonic()
        if positions == self._reported and now - self._reported_at < REPORT_SECONDS:
            return
        await self._publisher.publish([command("ingest.report_positions", {"lane_positions": positions})])
        self._reported, self._reported_at = positions, now


def command(type: str, data: dict[str, object]) -> Outgoing:
    """A command of the platform itself, to the service that the type's first word names."""
    body = Command(id=str(uuid4()), source="trigger-processor", type=type, tenantid=PLATFORM, data=data)
    return Outgoing(COMMANDS, type, body.to_json(), body.id, STRUCTURED)
