"""Parcels: what goes to the broker as one AMQP message, one event or a batch. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from nexus_shared import topology, wire
from nexus_shared.envelope import BATCH, STRUCTURED, Event
from nexus_shared.ids import derive

PER_MESSAGE = 100
MESSAGE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Parcel:
    """One AMQP message: `lines` are its events as JSON, in order."""

    key: str
    message_id: str
    content_type: str
    lines: tuple[bytes, ...]

    @property
    def content(self) -> bytes:
        return self.lines[0] if self.content_type == STRUCTURED else wire.batch_body(self.lines)

    @property
    def size(self) -> int:
        """Bytes, with a line break per event as in the spool."""
        return sum(map(len, self.lines)) + len(self.lines)

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(Event.model_validate_json(line) for line in self.lines)

    def says_the_same(self, other: Parcel) -> bool:
        """True when at most the times differ: the same ids with other content would be a conflict."""
        return self.lines == other.lines or _timeless(self.lines) == _timeless(other.lines)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large a batch message may grow: 1 to 500 events, at most 4 MiB; one event always fits."""

    events: int = PER_MESSAGE
    bytes: int = MESSAGE_BYTES

    def __post_init__(self) -> None:
        if not (1 <= self.events <= wire.MAX_BATCH_EVENTS and 1 <= self.bytes <= wire.MAX_BATCH_BYTES):
            raise ValueError(
                f"A batch holds 1 to {wire.MAX_BATCH_EVENTS} events and at most {wire.MAX_BATCH_BYTES} bytes"
            )


def single(event: Event, line: bytes) -> Parcel:
    return Parcel(topology.inbound_key(event.tenantid, event.type), event.id, STRUCTURED, (line,))


def batches(tenant_id: str, lines: Iterable[tuple[str, bytes]], limits: BatchLimits) -> Iterator[Parcel]:
    """Lines with their events' ids in batch messages, order kept."""
    ids: list[str] = []
    batch: list[bytes] = []
    size = 2
    for event_id, line in lines:
        if batch and (len(batch) == limits.events or size + len(line) + 1 > limits.bytes):
            yield _batch(tenant_id, ids, batch)
            ids, batch, size = [], [], 2
        ids.append(event_id)
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield _batch(tenant_id, ids, batch)


def _batch(tenant_id: str, ids: Sequence[str], lines: Sequence[bytes]) -> Parcel:
    """The message id is derived from the events' ids: the same batch sent again has the same one."""
    message_id = str(derive("batch", tenant_id, *ids))
    return Parcel(topology.inbound_key(tenant_id, "batch"), message_id, BATCH, tuple(lines))


def _timeless(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    return [{**orjson.loads(line), "time": None} for line in lines]
