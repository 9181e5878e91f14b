"""Checking what events say against their digests: needs the master keys, as only ingest and this command have them."""

from __future__ import annotations

from datetime import UTC, datetime

from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.log import LogStore
from nexus_shared.access.keys import Keys
from nexus_shared.database import Database
from nexus_shared.sealing import MasterKeys

PAGE_ROWS = 2_000


async def changed(database_url: str, master_keys: Keys, until: int) -> list[int]:
    """Positions up to `until` whose content was changed after they were recorded; erased persons' are passed over."""
    master = MasterKeys(master_keys)
    database = Database(database_url, database_url, service="log-verify", worker_size=1, api_size=1)
    await database.open()
    try:
        sealer, log = Sealer(KeyStore(database), master), LogStore(database, writer="log-verify")
        position, recorded_at, found = 0, datetime(2000, 1, 1, tzinfo=UTC), []
        while position < until and (rows := await log.after(position, recorded_at, PAGE_ROWS)):
            found += await sealer.changed(rows, master.derived("digest"))
            position, recorded_at = rows[-1].position, rows[-1].recorded_at
        return found
    finally:
        await database.close()
