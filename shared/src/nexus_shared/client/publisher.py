"""The publisher: what a clinic's system uses to tell the platform its facts."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack
from uuid import uuid4

from nexus_shared import topology
from nexus_shared.catalogue import find
from nexus_shared.client.details import EventDetails
from nexus_shared.client.emitters.methods import Emitters
from nexus_shared.client.errors import EventInvalid, PublisherClosed, SpoolUnusable
from nexus_shared.client.fitness import event_of, fit_line, inspected
from nexus_shared.client.later import Later
from nexus_shared.client.parcels import BatchLimits, Parcel, batches, single
from nexus_shared.client.shipping import Shipping
from nexus_shared.client.spool import Spool
from nexus_shared.envelope import Event
from nexus_shared.errors import Flaw
from nexus_shared.ids import TenantId, is_tenant_id
from nexus_shared.messaging.connection import user_of

SPOOL_LIMIT = 64 * 2**20
PARCELS_AT_ONCE = 64
"""How many batch messages of one `publish_many` are on their way at a time."""
FLAWS_TOLD = 20


class NexusPublisher(Emitters):
    """Publishes facts of one tenant. Survives a broker restart, with a spool also the end of this process.

        async with NexusPublisher(amqp_url, "clinica-sul", "crm", spool_dir="/var/lib/crm/nexus") as publisher:
            await publisher.publish("lead.created", {"lead_id": "L-17", "name": "Ana"}, id="lead-17-created")

    `source` names your system; an event's identity is (tenant, source, id). `patience` is how many seconds one call
    waits for the broker before it raises NotConfirmed; after `confirm_timeout` seconds without a confirm the connection
    is given up and everything unconfirmed is sent again. `spool_limit` bounds the bytes that wait for the broker, on
    disk or, without a spool, in memory. One process owns a spool directory.

    Order is kept: what was handed over first arrives first (`sender` names the one exception, a full queue).
    """

    def __init__(
        self,
        amqp_url: str,
        tenant_id: str,
        source: str,
        spool_dir: str | Path | None = None,
        *,
        patience: float = 60.0,
        confirm_timeout: float = 10.0,
        spool_limit: int = SPOOL_LIMIT,
        exchange: str = topology.INBOUND,
    ) -> None:
        if not is_tenant_id(tenant_id):
            raise ValueError(f"tenant_id {tenant_id!r}: lower-case letters, digits and hyphens, at most 63")
        self._tenant_id, self._source, self._user = TenantId(tenant_id), source, user_of(amqp_url)
        self._spool = None if spool_dir is None else Spool(Path(spool_dir), self._tenant_id, spool_limit)
        self._shipping = Shipping(
            amqp_url,
            f"{tenant_id} {source}",
            exchange,
            self._spool,
            patience=patience,
            confirm_timeout=confirm_timeout,
            limit_bytes=spool_limit,
        )
        self._is_open = False

    @property
    def is_connected(self) -> bool:
        return self._shipping.is_connected

    @property
    def unconfirmed(self) -> int:
        """AMQP messages (single events or batches) on their way."""
        return self._shipping.unconfirmed

    async def __aenter__(self) -> Self:
        """Open the spool and begin to connect; what an earlier run left behind goes first.

        Raises SpoolInUse, SpoolUnusable. A broker that is away raises nothing here.
        """
        await self._shipping.open(self._tenant_id)
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is on its way. What remains stays in the spool; without one NotConfirmed is raised."""
        self._is_open = False
        lost = await self._shipping.close()
        if lost is not None and error is None:
            raise lost

    def event(self, type: str, data: Mapping[str, Any], **details: Unpack[EventDetails]) -> Event:
        """An event of this publisher, not sent yet. Raises EventInvalid when its envelope does not fit."""
        kind = find(type)
        subject = None if kind is None else kind.subject_of(data)
        filled = {"id": str(uuid4()), "time": datetime.now(UTC), "subject": subject, **details}
        given = {name: value for name, value in filled.items() if value is not None}
        return event_of(
            {**given, "type": type, "source": self._source, "tenantid": self._tenant_id, "data": dict(data)}
        )

    async def publish(
        self, event: Event | str, data: Mapping[str, Any] | None = None, **details: Unpack[EventDetails]
    ) -> Event:
        """Send one event, given as it is or as type and data; returns it once the broker has confirmed it.

        Raises EventInvalid (nothing was sent), PublishRefused, NotConfirmed (it goes on in the background), SpoolFull
        and SpoolUnusable (it was not taken), PublisherClosed. Cancelling the call does not take the event back.
        """
        fact, parcel = self._parcel(event, data, details)
        await self._shipping.deliver([parcel])
        return fact

    async def publish_later(
        self, event: Event | str, data: Mapping[str, Any] | None = None, **details: Unpack[EventDetails]
    ) -> Event:
        """Return as soon as the event is on disk: it will be sent, in order, by this process or the next one.

        Needs a spool. Raises EventInvalid, SpoolFull, SpoolUnusable, PublisherClosed.
        """
        if self._spool is None:
            raise SpoolUnusable("publish_later keeps the event on disk: give this publisher a spool_dir.")
        fact, parcel = self._parcel(event, data, details)
        await self._shipping.take(parcel)
        return fact

    @property
    def later(self) -> Later[Coroutine[Any, Any, Event]]:
        """This publisher for emitters that shall not wait: `await publisher.later.emit_lead_created(…)`."""
        return Later(self.publish_later)

    async def publish_many(self, events: Iterable[Event], limits: BatchLimits | None = None) -> None:
        """Send events in batch messages, in order; returns once all are confirmed.

        All are checked before the first one leaves: EventInvalid has a flaw per field, "/3/data/phone" for the fourth
        event. `limits` bounds a message, 100 events and 256 KiB if left out. Other errors as in `publish`, for those
        events only that they name.
        """
        self._must_be_open()
        lines = self._fit_lines(list(events))
        messages = batches(self._tenant_id, lines, limits or BatchLimits())
        while share := list(islice(messages, PARCELS_AT_ONCE)):
            await self._shipping.deliver(share)

    def _parcel(
        self, event: Event | str, data: Mapping[str, Any] | None, details: EventDetails
    ) -> tuple[Event, Parcel]:
        self._must_be_open()
        if isinstance(event, str):
            event = self.event(event, data or {}, **details)
        elif data is not None or details:
            raise TypeError("Give either an Event, or a type with its data and details")
        line = fit_line(event, tenant_id=self._tenant_id, source=self._source, user=self._user)
        return event, single(event, line)

    def _fit_lines(self, events: Sequence[Event]) -> list[tuple[str, bytes]]:
        lines, flaws = [], []
        for number, event in enumerate(events):
            line, found = inspected(event, tenant_id=self._tenant_id, source=self._source, user=self._user)
            lines.append((event.id, line))
            flaws += [Flaw(f"/{number}{flaw.pointer}", flaw.message, flaw.code) for flaw in found]
            if len(flaws) >= FLAWS_TOLD:
                break
        if flaws:
            raise EventInvalid(flaws)
        return lines

    def _must_be_open(self) -> None:
        if not self._is_open:
            raise PublisherClosed("Use it inside `async with NexusPublisher(...) as publisher:`.")
