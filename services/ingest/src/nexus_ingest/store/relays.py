"""Relays: one leader each, by a lease on the database's clock and an epoch that fences the one before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from nexus_shared.database import Database, across_tenants

LEASE_SECONDS = 3


class Cursor(NamedTuple):
    """Where a relay stands. `lane_positions[l]` is the last position it sent on lane l."""

    position: int
    recorded_at: datetime
    lane_positions: list[int]
    epoch: int


class RelayStore:
    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner

    @across_tenants("a relay serves all tenants")
    async def lead(self, name: str) -> Cursor | None:
        """Takes the lease when it is free; a new leader gets a new epoch."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "update relays set epoch = epoch + 1, owner = $2,"
                " leased_until = clock_timestamp() + $3 * interval '1 s'"
                " where name = $1 and leased_until < clock_timestamp()"
                " returning position, recorded_at, lane_positions, epoch",
                name,
                self._owner,
                LEASE_SECONDS,
            )
        return Cursor(*row) if row else None

    @across_tenants("a relay serves all tenants")
    async def save(self, name: str, cursor: Cursor) -> bool:
        """Saves the cursor and renews the lease; False = another leader has taken over."""
        async with self._database.connection() as connection:
            answer = await connection.execute(
                "update relays set position = $3, recorded_at = $4, lane_positions = $5,"
                " leased_until = clock_timestamp() + $6 * interval '1 s' where name = $1 and epoch = $2",
                name,
                cursor.epoch,
                cursor.position,
                cursor.recorded_at,
                cursor.lane_positions,
                LEASE_SECONDS,
            )
        return answer == "UPDATE 1"

    @across_tenants("a relay serves all tenants")
    async def resign(self, name: str, epoch: int) -> None:
        """Lets the next instance take over at once."""
        async with self._database.connection() as connection:
            await connection.execute(
                "update relays set leased_until = '-infinity' where name = $1 and epoch = $2", name, epoch
            )

    @across_tenants("lanes carry all tenants")
    async def lane_positions(self, name: str) -> Sequence[int]:
        async with self._database.connection() as connection:
            return list(await connection.fetchval("select lane_positions from relays where name = $1", name))

    @across_tenants("readers serve all tenants")
    async def report(self, service: str, lane_positions: Sequence[int]) -> None:
        """Keeps how far a reader of the log has come; positions never go back."""
        async with self._database.connection() as connection:
            await connection.execute(
                "insert into reader_positions as r (service, lane_positions) values ($1, $2)"
                " on conflict (service) do update set reported_at = clock_timestamp(), lane_positions ="
                " (select array_agg(greatest(a, b) order by n)"
                " from unnest(r.lane_positions, excluded.lane_positions) with ordinality as t (a, b, n))",
                service,
                list(lane_positions),
            )

    @across_tenants("readers serve all tenants")
    async def reader_positions(self, service: str) -> Sequence[int] | None:
        """The 16 lane positions a service has processed; None when it never reported."""
        async with self._database.connection() as connection:
            positions = await connection.fetchval(
                "select lane_positions from reader_positions where service = $1", service
            )
        return list(positions) if positions is not None else None
