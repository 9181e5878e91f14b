"""The loops of ingest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from nexus_ingest.handlers.relaying import Relay
from nexus_ingest.store.log import LogStore
from nexus_shared.jobs import Job

log = structlog.get_logger(__name__)

WEEKS_AHEAD = 8


def relaying(name: str, relay: Relay) -> Job:
    """New events go out; woken by every append of this process."""
    return Job(name, relay.once, period=0.05)


def partitions(store: LogStore, retention_weeks: int) -> Job:
    """Partitions are made eight weeks ahead, and detached when retention is over."""

    async def once() -> None:
        made = await store.make_partitions(WEEKS_AHEAD)
        gone = await store.detach_partitions(datetime.now(UTC) - timedelta(weeks=retention_weeks))
        if made or gone:
            log.info("partitions", made=made, detached=gone)

    return Job("partitions", once, period=3600)
