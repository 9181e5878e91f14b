"""The loops of trigger-processor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nexus_shared.access.revocations import Revocations, refresh
from nexus_shared.database.outbox import Outbox
from nexus_shared.jobs import Job
from nexus_trigger_processor.handlers.lane_reports import LaneReports
from nexus_trigger_processor.handlers.measuring import Gauges
from nexus_trigger_processor.handlers.reacting import Reactions
from nexus_trigger_processor.handlers.sending import Sender
from nexus_trigger_processor.store.platform import PlatformStore

WEEKS_AHEAD = 8


def sending(sender: Sender) -> Job:
    """Due webhooks go out; woken by every commit that brought actions."""
    return Job("sending", sender.once, period=0.5)


def reporting(reports: LaneReports) -> list[Job]:
    """Holes are asked for, and ingest is told how far we are."""
    return [
        Job("holes", reports.ask, period=0.25, wake=reports.wake),
        Job("positions", reports.report, period=1.0),
    ]


def sweeping(outbox: Outbox) -> Job:
    """What a crash left in the outbox goes out."""
    return Job("outbox", outbox.sweep, period=2.0)


def measuring(gauges: Gauges) -> Job:
    """How much waits is looked at for whoever scrapes the metrics."""
    return Job("measuring", gauges.look, period=5.0)


def knowing(reactions: Reactions, store: PlatformStore, revocations: Revocations) -> Job:
    """Every replica learns of revoked keys and tenants' settings within two seconds."""

    async def once() -> None:
        await refresh(revocations, store.revoked)
        await reactions.reload()

    return Job("knowing", once, period=2.0)


def partitions(store: PlatformStore, retention_weeks: int) -> Job:
    """Partitions are made eight weeks ahead, and detached when retention is over."""

    async def once() -> None:
        await store.make_partitions(WEEKS_AHEAD)
        await store.detach_partitions(datetime.now(UTC) - timedelta(weeks=retention_weeks))

    return Job("partitions", once, period=3600)
