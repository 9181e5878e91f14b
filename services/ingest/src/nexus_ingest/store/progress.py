"""How far the log has come, how far the relays have sent it, how far trigger-processor has read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from nexus_shared.database import Database, across_tenants

READER = "trigger-processor"

_STANDING = """
    select r.name, r.position, r.recorded_at, r.lane_positions, h.last_position, h.last_recorded_at
      from relays r cross join log_head h order by r.name
"""


class Standing(NamedTuple):
    """One relay and the log's end, seen at the same moment."""

    relay: str
    position: int
    recorded_at: datetime
    lane_positions: list[int]
    last_position: int
    last_recorded_at: datetime


class ProgressStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("relays serve all tenants")
    async def relays(self) -> list[Standing]:
        async with self._database.connection() as connection:
            return [Standing(*row) for row in await connection.fetch(_STANDING)]

    @across_tenants("lanes carry all tenants")
    async def read(self) -> tuple[Standing, Sequence[int] | None]:
        """The relay of `nexus.log`, and the 16 lane positions trigger-processor has reported (None: never)."""
        async with self._database.connection() as connection:
            # Read before sent: then "read to the end of what was sent" cannot be said too early.
            read = await connection.fetchval(
                "select lane_positions from reader_positions where service = $1", READER
            )
            rows = await connection.fetch(_STANDING)
        sent = next(Standing(*row) for row in rows if row["name"] == "log")
        return sent, read

    @across_tenants("the default partition and the roll-up hold all tenants")
    async def default_holds_rows(self) -> bool:
        """True when rows fell outside every weekly partition."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval("select default_holds_rows()"))
