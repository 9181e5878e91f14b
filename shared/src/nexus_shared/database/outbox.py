"""The outbox: messages that commit together with the rows they tell about.

Whoever commits publishes at once and deletes; what a crash left behind is published by a job a little later. A message
can go out twice, with the same ids; never not at all. The table is the same in every service: `outbox(id, exchange,
key, message_id, content_type, body, created_at)`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from nexus_shared.crashpoints import crash_point
from nexus_shared.database.pool import Connection, Database
from nexus_shared.database.tenancy import across_tenants
from nexus_shared.messaging.publisher import Outgoing, Publisher

log = structlog.get_logger(__name__)

LEFT_BEHIND_SECONDS = 10
BATCH = 500
LINGER_SECONDS = 0.1


class OutboxRow(NamedTuple):
    exchange: str
    key: str
    message_id: str
    content_type: str
    body: bytes

    def outgoing(self) -> Outgoing:
        return Outgoing(self.exchange, self.key, self.body, self.message_id, self.content_type)


class OutboxStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @across_tenants("one message can carry facts of many tenants")
    async def insert(self, connection: Connection, rows: Sequence[OutboxRow]) -> list[int]:
        """Inside the caller's transaction; ids in the order of `rows`."""
        if not rows:
            return []
        columns = [list(column) for column in zip(*rows, strict=True)]
        records = await connection.fetch(
            "insert into outbox (exchange, key, message_id, content_type, body)"
            " select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[]) returning id",
            *columns,
        )
        return [record["id"] for record in records]

    @across_tenants("one message can carry facts of many tenants")
    async def delete(self, ids: Sequence[int]) -> None:
        async with self._database.connection() as connection:
            await connection.execute("delete from outbox where id = any($1::bigint[])", list(ids))

    @across_tenants("a crash leaves messages of all tenants behind")
    async def left_behind(self) -> list[tuple[int, OutboxRow]]:
        """The oldest messages that nobody seems to be publishing."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "select id, exchange, key, message_id, content_type, body from outbox"
                " where created_at < clock_timestamp() - $1 * interval '1 second' order by id limit $2",
                LEFT_BEHIND_SECONDS,
                BATCH,
            )
        return [(row["id"], OutboxRow(*tuple(row)[1:])) for row in rows]

    @across_tenants("the oldest message of all tenants")
    async def age_seconds(self) -> float:
        """How long the oldest message has been waiting; for metrics and alarms."""
        async with self._database.connection() as connection:
            age = await connection.fetchval(
                "select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0) from outbox"
            )
        return float(age)


class Outbox:
    """Publishes what was just committed, in the background and in order; `sweep` is a job's step."""

    def __init__(self, store: OutboxStore, publisher: Publisher) -> None:
        self._store, self._publisher = store, publisher
        self._posted: list[tuple[int, OutboxRow]] = []
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def post(self, ids: Sequence[int], rows: Sequence[OutboxRow]) -> None:
        """Hands over rows that are committed. Losing them here costs ten seconds, not the message."""
        self._posted.extend(zip(ids, rows, strict=True))
        self._arrived.set()
        if self._posted and (self._worker is None or self._worker.done()):
            self._worker = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Publishes at once; deletes in one go when nothing came for a tenth of a second, or 500 are out."""
        sent: list[int] = []
        while self._posted or sent:
            if not self._posted:
                self._arrived.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._arrived.wait(), LINGER_SECONDS)
            batch, self._posted = self._posted[:BATCH], self._posted[BATCH:]
            try:
                if batch:
                    await self._publish(batch)
                    sent += [id for id, _ in batch]
                if not batch or len(sent) >= BATCH:
                    done, sent = sent, []
                    await self._delete(done)
            except Exception as error:
                self._posted.clear()  # the sweep finds them
                log.warning("outbox_waits", messages=len(batch), error=type(error).__name__)

    async def sweep(self) -> bool:
        """Publishes what was left behind; True when there may be more."""
        batch = await self._store.left_behind()
        if batch:
            await self._send(batch)
        return len(batch) == BATCH

    async def _send(self, batch: Sequence[tuple[int, OutboxRow]]) -> None:
        await self._publish(batch)
        await self._delete([id for id, _ in batch])

    async def _publish(self, batch: Sequence[tuple[int, OutboxRow]]) -> None:
        crash_point("outbox.before_publish")
        await self._publisher.publish([row.outgoing() for _, row in batch])
        crash_point("outbox.after_confirms")

    async def _delete(self, ids: Sequence[int]) -> None:
        await self._store.delete(ids)
        crash_point("outbox.after_delete")

    async def close(self) -> None:
        """Lets the message in hand go out."""
        if self._worker is not None and not self._worker.done():
            await asyncio.wait({self._worker}, timeout=5)
