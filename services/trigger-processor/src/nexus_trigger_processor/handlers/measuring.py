"""A look at what waits, for metrics."""

from __future__ import annotations

from nexus_shared.database.outbox import OutboxStore
from nexus_trigger_processor.measures import Measures
from nexus_trigger_processor.store.measuring import MeasuringStore
from nexus_trigger_processor.store.platform import PlatformStore


class Gauges:
    def __init__(
        self, measures: Measures, store: MeasuringStore, outbox: OutboxStore, platform: PlatformStore
    ) -> None:
        self._measures, self._store, self._outbox, self._platform = measures, store, outbox, platform

    async def look(self) -> None:
        """A job's step."""
        pending, overdue = await self._store.pending()
        self._measures.waiting(
            pending=pending,
            overdue_seconds=overdue,
            outbox_seconds=await self._outbox.age_seconds(),
            positions=await self._platform.lane_positions(),
        )
