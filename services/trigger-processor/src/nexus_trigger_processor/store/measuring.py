"""How much waits, for metrics."""

from __future__ import annotations

from nexus_shared.database import Database, across_tenants

COUNTED = 100_000


class MeasuringStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("what waits is measured for all tenants")
    async def pending(self) -> tuple[int, float]:
        """How many actions wait (counted up to COUNTED), and for how many seconds the oldest due one has."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "select (select count(*) from (select from pending_actions limit $1) as counted) as number,"
                " (select coalesce(greatest(0, extract(epoch from clock_timestamp() - min(due_at))), 0)"
                " from pending_actions)::float8 as overdue",
                COUNTED,
            )
        assert row is not None
        return row["number"], row["overdue"]
