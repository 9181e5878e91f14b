"""Reading the log as whole events: from memory where they were just appended, else opened from the store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from nexus_ingest.domain.frames import Recorded
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.log import LogStore
from nexus_shared.ids import TenantId

POLL_SECONDS = 0.05


class LogReader:
    """One reader follows the log from its own place: each relay has one."""

    def __init__(self, log: LogStore, sealer: Sealer, tail: Tail) -> None:
        self._log, self._sealer, self._tail = log, sealer, tail
        self._polled_at = 0.0

    async def follow(self, position: int, recorded_at: datetime, limit: int) -> list[Recorded]:
        """What comes after `position` (recorded at `recorded_at`), in order.

        What other instances append is seen at the next poll, at most 50 ms later.
        """
        events = self._tail.after(position, limit)
        now = time.monotonic()
        if events or (self._tail.ends_at(position) and now - self._polled_at < POLL_SECONDS):
            return events
        self._polled_at = now
        return await self._sealer.open(await self._log.after(position, recorded_at, limit))

    async def of_lane(self, lane: int, after: int, until: int, limit: int) -> list[Recorded]:
        """One lane's events with after < position <= until."""
        return await self._sealer.open(await self._log.of_lane(lane, after, until, limit))

    async def history(
        self, tenant_id: TenantId, after: int, until: int, types: Sequence[str] | None, limit: int
    ) -> list[Recorded]:
        """A tenant's events with after < position <= until, of these types or all."""
        return await self._sealer.open(await self._log.history(tenant_id, after, until, types, limit))
