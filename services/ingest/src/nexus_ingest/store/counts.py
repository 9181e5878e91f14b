"""Counts per tenant, type and hour, rolled up from the log by position."""

from __future__ import annotations

from nexus_shared.database import Database, across_tenants

_LOCK = "select position from roll_ups where name = 'event_counts' for update skip locked"
_ROLL_UP = """
    with fresh as (
        select position, tenant_id, type, date_trunc('hour', recorded_at, 'UTC') as hour
          from automation_events where position > $1 and recorded_at < now() + interval '1 minute'
         order by position limit $2
    ), counted as (
        insert into event_counts as c (tenant_id, type, hour, events)
        select tenant_id, type, hour, count(*) from fresh group by 1, 2, 3
        on conflict (tenant_id, hour, type) do update set events = c.events + excluded.events
    ), moved as (
        update roll_ups set position = (select max(position) from fresh)
         where name = 'event_counts' and exists (select 1 from fresh)
    )
    select count(*) from fresh
"""


class CountStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("one pass over the log counts for all tenants")
    async def roll_up(self, limit: int) -> int:
        """Counts the next `limit` events and moves the cursor, in one transaction; 0 when another instance is at it.

        Positions become visible in order, so what lies at or below the cursor is counted, and nothing else is.
        """
        async with self._database.transaction() as connection:
            position = await connection.fetchval(_LOCK)
            if position is None:
                return 0
            return int(await connection.fetchval(_ROLL_UP, position, limit))
