"""Quarantine: kept sealed, listed, corrected and recorded again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nexus_ingest.domain.door import Publisher
from nexus_ingest.domain.quarantining import Rejected, quarantined_fact, storable
from nexus_ingest.store.quarantine import NewEntry, QuarantineStore
from nexus_shared.sealing import MasterKeys


class Quarantine:
    publisher = Publisher("svc.ingest", None, service="ingest")

    def __init__(self, store: QuarantineStore, master: MasterKeys) -> None:
        self._store, self._master = store, master

    async def keep(self, rejected: Sequence[Rejected]) -> list[dict[str, Any]]:
        """Keeps them and returns the facts that tell about it."""
        await self._store.add([self._entry(item) for item in rejected])
        return [quarantined_fact(item) for item in rejected]

    def _entry(self, item: Rejected) -> NewEntry:
        return NewEntry(
            item.quarantine_id,
            item.tenant_id,
            storable(item.publisher[:200]),
            item.source,
            item.event_id,
            item.type,
            item.reason,
            storable(item.flaw.pointer),
            storable(item.flaw.message),
            self._master.seal(item.kept, f"{item.tenant_id}|{item.quarantine_id}"),
            item.content_hash,
            len(item.content),
            storable(item.content_type[:200]),
        )
