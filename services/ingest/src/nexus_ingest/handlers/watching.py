"""Watching ourselves: how far the relays lag, and what lies where nothing should ever lie."""

from __future__ import annotations

import asyncio

import structlog

from nexus_ingest.meters import Meters
from nexus_ingest.store.progress import ProgressStore
from nexus_shared.messaging.connection import BROKER_AWAY, connect
from nexus_shared.topology import UNROUTED_QUEUE

log = structlog.get_logger(__name__)

SECONDS = 5.0


class Watch:
    def __init__(self, progress: ProgressStore, meters: Meters, amqp_url: str) -> None:
        self._progress, self._meters, self._amqp_url = progress, meters, amqp_url

    async def lags(self) -> None:
        """A job's step: the distance of each relay to the log's end."""
        for relay in await self._progress.relays():
            behind = max(0, relay.last_position - relay.position)
            seconds = (relay.last_recorded_at - relay.recorded_at).total_seconds() if behind else 0.0
            self._meters.relay_lag_events.labels(relay.relay).set(behind)
            self._meters.relay_lag_seconds.labels(relay.relay).set(max(0.0, seconds))

    async def alarms(self) -> None:
        """A job's step: events outside every partition, and messages that no queue took."""
        if await self._progress.default_holds_rows():
            log.error(
                "default_partition_holds_rows", remedy="make the missing weekly partition, then move the rows"
            )
        messages = await self._unrouted()
        self._meters.unrouted_events.set(messages)
        if messages:
            log.error("messages_unrouted", queue=UNROUTED_QUEUE, messages=messages)

    async def _unrouted(self) -> int:
        """Messages waiting in the queue of the unroutable; 0 while the broker is away, which others tell."""
        try:
            async with asyncio.timeout(SECONDS):
                connection = await connect(self._amqp_url, "ingest-watch")
                async with connection:
                    channel = await (await connection.channel()).get_underlay_channel()
                    declared = await channel.queue_declare(UNROUTED_QUEUE, passive=True)
        except BROKER_AWAY:
            return 0
        return declared.message_count or 0
