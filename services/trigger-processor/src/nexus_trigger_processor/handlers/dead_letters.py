"""Dead letters: taken from the broker's queue into a table, looked at, dealt with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
import structlog

from nexus_shared.access.principal import Principal
from nexus_shared.database import Connection, Database
from nexus_shared.errors import NexusError
from nexus_shared.ids import TenantId, derive
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.sealing import MasterKeys, SealBroken
from nexus_trigger_processor.domain.dead_letters import autopsy, printable
from nexus_trigger_processor.store.dead_letters import (
    Cause,
    DeadLetter,
    DeadLetterFilter,
    DeadLetterRow,
    DeadLetterStore,
)

__all__ = [
    "Cause",
    "DeadLetter",
    "DeadLetterFilter",
    "DeadLetterNotFound",
    "DeadLetterSettled",
    "DeadLetterView",
    "DeadLetters",
    "Undertaker",
]

log = structlog.get_logger(__name__)

SHOWN_BYTES = 65_536


class DeadLetterNotFound(NexusError):
    """There is no such dead letter."""

    status = 404
    slug = "dead-letter-not-found"
    title = "There is no such dead letter"


class DeadLetterSettled(NexusError):
    """The dead letter was dealt with before."""

    status = 409
    slug = "dead-letter-settled"
    title = "The dead letter was dealt with before"


class Undertaker:
    """Reads the queue of dead letters in batches. Filing one twice files it once."""

    def __init__(self, store: DeadLetterStore, master: MasterKeys) -> None:
        self._store, self._master = store, master

    async def prepare(self, batch: Sequence[Delivery]) -> list[DeadLetterRow]:
        return [self._row(delivery) for delivery in batch]

    async def commit(self, rows: Sequence[DeadLetterRow]) -> None:
        """Keeps them, and raises the alarm for those that are new."""
        kept = await self._store.insert(rows)
        alike = Counter(
            (row.service, row.queue, row.type, row.cause) for row in rows if row.dead_letter_id in kept
        )
        for (service, queue, type, cause), number in alike.items():
            log.error("dead_letters", owner=service, queue=queue, type=type, cause=cause, number=number)

    def _row(self, delivery: Delivery) -> DeadLetterRow:
        found = autopsy(delivery.body, delivery.headers)
        content = hashlib.sha256(delivery.body).hexdigest()
        dead_letter_id = derive("dead-letter", found.queue, delivery.message_id, content)
        return DeadLetterRow(
            dead_letter_id,
            found.tenant_id,
            printable(delivery.key),  # the broker's policy names the service in it
            found.queue,
            printable(delivery.message_id),
            found.type,
            found.cause,
            orjson.dumps(found.deaths).decode(),
            printable(delivery.content_type),
            self._master.seal(delivery.body, _place(found.tenant_id, dead_letter_id)),
        )


@dataclass(frozen=True, slots=True)
class DeadLetterView:
    """`content` is the message's text, at most SHOWN_BYTES of it; None unless revealed."""

    row: DeadLetter
    content: str | None = None


class DeadLetters:
    """Looking at them and dealing with them: a tenant with its own, the platform with all."""

    def __init__(self, database: Database, store: DeadLetterStore, master: MasterKeys) -> None:
        self._database, self._store, self._master = database, store, master

    async def page(
        self, who: Principal, narrowed: DeadLetterFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[DeadLetter]:
        async with self._seen_by(who) as (tenant_id, connection):
            return await self._store.page(tenant_id, connection, narrowed, after, limit)

    async def causes(self, who: Principal) -> list[Cause]:
        """Open ones, counted by what they died of."""
        async with self._seen_by(who) as (tenant_id, connection):
            return await self._store.causes(tenant_id, connection)

    async def find(self, who: Principal, dead_letter_id: UUID, *, reveal: bool = False) -> DeadLetterView:
        """Raises DeadLetterNotFound."""
        async with self._seen_by(who) as (tenant_id, connection):
            found = await self._store.find(tenant_id, connection, dead_letter_id)
        if found is None:
            raise DeadLetterNotFound
        row, sealed = found
        if not reveal:
            return DeadLetterView(row)
        log.info("dead_letter_revealed", dead_letter_id=str(dead_letter_id), by=who.jti)
        return DeadLetterView(row, self._opened(row, sealed))

    async def discard(self, who: Principal, dead_letter_id: UUID, reason: str) -> DeadLetterView:
        """It needs nothing more; it stays readable with the reason. Raises DeadLetterNotFound, DeadLetterSettled."""
        async with self._seen_by(who) as (tenant_id, connection):
            is_new = await self._store.discard(
                tenant_id, connection, dead_letter_id, by=who.name, note=reason
            )
            found = await self._store.find(tenant_id, connection, dead_letter_id)
        if found is None:
            raise DeadLetterNotFound
        if not is_new:
            raise DeadLetterSettled(f"It was {found[0].status} by {found[0].settled_by}.")
        log.info("dead_letter_discarded", dead_letter_id=str(dead_letter_id), by=who.jti)
        return DeadLetterView(found[0])

    @asynccontextmanager
    async def _seen_by(self, who: Principal) -> AsyncIterator[tuple[TenantId | None, Connection]]:
        if who.is_platform:
            async with self._database.transaction() as connection:
                yield None, connection
        else:
            async with self._database.tenant(who.tenant_id) as connection:
                yield who.tenant_id, connection

    def _opened(self, row: DeadLetter, sealed: bytes) -> str | None:
        try:
            body = self._master.open(sealed, _place(row.tenant_id, row.dead_letter_id))
        except SealBroken:
            return None
        return body[:SHOWN_BYTES].decode(errors="replace")


def _place(tenant_id: TenantId, dead_letter_id: UUID) -> str:
    return f"{tenant_id}|{dead_letter_id}"
