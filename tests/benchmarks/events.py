"""What is published: full `lead.created` and `appointment.scheduled` in turns, distinct ids, 200 tenants.

Every lead is a new person, whose key has to be made; appointments are of 100 patients per tenant, whose keys are known
after a while. That is the mix of a clinic: most facts are about people it knows, and new ones come in all the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nexus_shared.envelope import BATCH, STRUCTURED, Event
from nexus_shared.messaging.publisher import Outgoing
from nexus_shared.testing.builders import a_lead_created, an_appointment_scheduled
from nexus_shared.topology import INBOUND, inbound_key
from nexus_shared.wire import batch_body

TENANTS = 200
PATIENTS = 100
TYPES = ("lead.created", "appointment.scheduled")
LEAST_BYTES = 600
BATCH_EVENTS = 100

ABOUT = (
    f"events: full lead.created and appointment.scheduled in turns (50/50), {TENANTS} tenants, distinct ids; "
    f"leads are new persons, appointments are of {PATIENTS} patients per tenant"
)


class Sample(NamedTuple):
    """One event as it will be published."""

    tenant_id: str
    type: str
    source: str
    event_id: str
    body: bytes


def tenant(number: int) -> str:
    return f"clinica-{number % TENANTS:03d}"


def event(number: int) -> Event:
    """The event with this number: the same for the same number, its id like no other's."""
    tenant_id = tenant(number // 2)
    if number % 2 == 0:
        return a_lead_created(number=number, tenantid=tenant_id)
    patient = {"patient_id": f"paciente-{number // (2 * TENANTS) % PATIENTS}"}
    return an_appointment_scheduled(number=number, tenantid=tenant_id, data=patient)


def samples(count: int, *, start: int = 0) -> list[Sample]:
    """Events `start` to `start + count`, as JSON of at least 600 bytes each."""
    made = []
    for number in range(start, start + count):
        fact = event(number)
        body = fact.to_json()
        assert len(body) >= LEAST_BYTES, f"{fact.type} has only {len(body)} bytes"
        made.append(Sample(fact.tenantid, fact.type, fact.source, fact.id, body))
    return made


def mean_bytes(events: Sequence[Sample]) -> int:
    return round(sum(len(event.body) for event in events) / len(events))


def singles(events: Iterable[Sample]) -> list[Outgoing]:
    """One message per event."""
    return [
        Outgoing(INBOUND, inbound_key(event.tenant_id, event.type), event.body, event.event_id, STRUCTURED)
        for event in events
    ]


def batches(events: Iterable[Sample]) -> list[Outgoing]:
    """Batch messages of 100 events of one tenant each, as a publisher may send them."""
    return [
        Outgoing(
            INBOUND,
            inbound_key(part[0].tenant_id, "batch"),
            batch_body([event.body for event in part]),
            f"batch-{part[0].event_id}",
            BATCH,
        )
        for part in parts_by_tenant(events)
    ]


def parts_by_tenant(events: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Parts of 100 events of one tenant, in the order in which they become full; then what is left."""
    open_parts: dict[str, list[Sample]] = {}
    for event in events:
        part = open_parts.setdefault(event.tenant_id, [])
        part.append(event)
        if len(part) == BATCH_EVENTS:
            yield open_parts.pop(event.tenant_id)
    yield from open_parts.values()
