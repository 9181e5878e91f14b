"""What is kept of an event that cannot be recorded, and the fact that tells its publisher."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from nexus_ingest.domain.door import Publisher, Refused
from nexus_shared.envelope import STRUCTURED
from nexus_shared.errors import Flaw, InputInvalid
from nexus_shared.ids import PLATFORM, derive, is_tenant_id
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.strict_json import Inspected

KEPT_BYTES = 64 * 1024
_FACT_ID = re.compile(r"[^\x00-\x1f\x7f]{1,180}")


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event, or a whole message, with the reason why it was not recorded."""

    tenant_id: str
    publisher: str
    source: str | None
    event_id: str | None
    type: str | None
    reason: str
    flaw: Flaw
    content: bytes
    content_type: str
    fingerprint: bytes = b""
    """What tells it from others, where the content alone would not: it may have the moment of its delivery in it."""

    @property
    def content_hash(self) -> bytes:
        return self.fingerprint or hashlib.sha256(self.content).digest()

    @property
    def quarantine_id(self) -> UUID:
        """The same content for the same reason has the same id, however often it is delivered."""
        return derive("quarantine", self.tenant_id, self.reason, self.content_hash.hex())

    @property
    def kept(self) -> bytes:
        return self.content[:KEPT_BYTES]


def rejected_message(delivery: Delivery, publisher: Publisher, error: InputInvalid) -> Rejected:
    """Nothing of the message could be read."""
    flaw = error.flaws[0] if error.flaws else Flaw("", str(error), error.slug)
    return Rejected(
        _tenant_of(publisher),
        publisher.name,
        None,
        None,
        None,
        error.slug,
        flaw,
        delivery.body,
        delivery.content_type,
    )


def rejected_event(item: Inspected, delivery: Delivery, publisher: Publisher, refused: Refused) -> Rejected:
    """One event of a message; the others went in."""
    envelope = item.value if isinstance(item.value, dict) else {}
    return Rejected(
        tenant_id=_tenant_of(publisher),
        publisher=publisher.name,
        source=_text(envelope.get("source")),
        event_id=_text(envelope.get("id")),
        type=_text(envelope.get("type")),
        reason=refused.reason,
        flaw=refused.flaws[0],
        content=_content(item, delivery),
        content_type=STRUCTURED,
    )


def conflict_of(
    tenant_id: str, source: str, event_id: str, type: str, event_json: bytes, digest: bytes
) -> Rejected:
    """The id came back with other content: what was recorded first stays. `digest` is the other content's."""
    message = "This id was recorded with other content; send the change as a new event with a new id"
    return Rejected(
        tenant_id,
        source,
        source,
        event_id,
        type,
        "conflict",
        Flaw("/id", message, "conflict"),
        event_json,
        STRUCTURED,
        digest,
    )


def quarantined_fact(rejected: Rejected) -> dict[str, Any]:
    """`event.quarantined`, so that the publisher can see it like any other event. It must fit, whatever came."""
    quarantine_id = str(rejected.quarantine_id)
    event_id = rejected.event_id or ""
    data = {
        "event_id": event_id if _FACT_ID.fullmatch(event_id) else quarantine_id,
        "source": rejected.source or rejected.publisher,
        "type": rejected.type or "unknown",
        "reason": rejected.flaw.message,
        "pointer": rejected.flaw.pointer,
    }
    return {
        "specversion": "1.0",
        "id": quarantine_id,
        "source": "ingest",
        "type": "event.quarantined",
        "tenantid": rejected.tenant_id,
        "data": {name: storable(text)[:500] for name, text in data.items()},
    }


def storable(text: str) -> str:
    """The text as PostgreSQL takes it; a routing key or a header can hold anything."""
    return text.replace("\x00", "\ufffd")


def _tenant_of(publisher: Publisher) -> str:
    tenant_id = publisher.tenant_id or PLATFORM
    return tenant_id if is_tenant_id(tenant_id) else PLATFORM


def _content(item: Inspected, delivery: Delivery) -> bytes:
    if item.raw is not None:
        return item.raw
    try:
        return orjson.dumps(item.value)
    except TypeError:  # it holds what cannot be written again: keep the message as it came
        return delivery.body


def _text(value: Any) -> str | None:
    return storable(value[:200]) if isinstance(value, str) else None
