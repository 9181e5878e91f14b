"""Erasing a person: the keys are destroyed, so what they sealed can never be read again, wherever copies lie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nexus_ingest.handlers.facts import Facts
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.erasures import ErasureStore
from nexus_ingest.store.keys import KeyStore
from nexus_shared.envelope import Event
from nexus_shared.errors import NexusError
from nexus_shared.ids import TenantId, derive

ERASED = "contact.erased"


class PersonUnknown(NexusError):
    """Nothing sealed is known of this person. Name it as its events do: patient/…, lead/…, contact/…, phone/+55…"""

    status = 404
    slug = "person-unknown"
    title = "Nothing is known of this person"

    def __init__(self) -> None:
        super().__init__(
            "Nothing sealed is known of this person. "
            "Name it as its events do: patient/P-17, lead/L-17, contact/C-9 or phone/+5511912345678"
        )


@dataclass(frozen=True, slots=True)
class Erased:
    """`position` is the fact's; `keys` counts what was destroyed now (0 when it had been done before)."""

    erased_at: datetime
    position: int
    keys: int


class Erasure:
    def __init__(self, sealer: Sealer, keys: KeyStore, erasures: ErasureStore, facts: Facts) -> None:
        self._sealer, self._keys, self._erasures, self._facts = sealer, keys, erasures, facts

    async def erase(self, tenant_id: TenantId, person: str, reason: str, asked_by: str) -> Erased:
        """Idempotent: what a crash interrupted is completed by asking again. Raises PersonUnknown."""
        key_ids = await self._sealer.erase((tenant_id, person))
        if not key_ids:
            raise PersonUnknown
        destroyed = await self._keys.destroy(tenant_id, key_ids)
        await self._sealer.erase(
            (tenant_id, person)
        )  # an event in between may have brought the key back to memory
        erased_at = await self._erasures.erased_at(tenant_id, key_ids)
        # Derived from what was destroyed: events that came in since make another erasure, with a fact of its own.
        request_id = str(derive("erasure", tenant_id, *sorted(map(str, key_ids))))
        fact = _fact(tenant_id, person, reason, asked_by, request_id, erased_at)
        return Erased(erased_at, await self._facts.record(fact), destroyed)


def _fact(
    tenant_id: TenantId, person: str, reason: str, asked_by: str, request_id: str, erased_at: datetime
) -> Event:
    """The person stands in the sealed part, and neither as subject nor as contact: the fact would be sealed under a
    new key of the person who is to be forgotten."""
    data = {
        "request_id": request_id,
        "executed_at": erased_at.isoformat(),
        "person": person,
        "reason": reason,
        "requested_by": asked_by,
    }
    return Event(id=request_id, source="ingest", type=ERASED, tenantid=tenant_id, time=erased_at, data=data)
