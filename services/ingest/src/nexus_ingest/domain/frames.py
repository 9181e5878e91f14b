"""Cutting recorded events into frames, one chain per lane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.lanes import frame_headers, lane_of
from nexus_shared.messaging.delivery import Outgoing
from nexus_shared.topology import EVENTS, LANES, LOG, inbound_key, lane_key
from nexus_shared.wire import batch_body

FRAME_EVENTS = 100
FRAME_BYTES = 256 * 1024


class Recorded(NamedTuple):
    """An event with its place in the log, as JSON ready to send."""

    position: int
    recorded_at: datetime
    lane: int
    tenant_id: str
    type: str
    event_id: str
    json: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """Frames to publish and the lanes' positions after them."""

    messages: list[Outgoing]
    lane_positions: list[int]


def lane_for(tenant_id: str, subject: str | None, event_id: str) -> int:
    """Events without a subject have no order among themselves and are spread."""
    return lane_of(tenant_id, subject if subject is not None else event_id)


def cut_frames(events: Sequence[Recorded], lane_positions: Sequence[int], epoch: int) -> Cut:
    """Frames of at most 100 events or 256 KiB per lane; `lane_positions[l]` is the last position sent on lane l."""
    positions = list(lane_positions)
    by_lane: dict[int, list[Recorded]] = {}
    for event in events:
        by_lane.setdefault(event.lane, []).append(event)
    messages = []
    for lane, of_lane in by_lane.items():
        for part in parts(of_lane):
            messages.append(frame(lane, positions[lane], part, epoch))
            positions[lane] = part[-1].position
    return Cut(messages, positions)


def frame(lane: int, prev: int, events: Sequence[Recorded], epoch: int) -> Outgoing:
    last = events[-1].position
    return Outgoing(
        LOG,
        lane_key(lane),
        batch_body([event.json for event in events]),
        message_id=f"{lane}-{prev}-{last}-{epoch}",
        content_type=BATCH,
        headers=frame_headers(lane, prev, last),
    )


def beacons(lane_positions: Sequence[int], epoch: int, lanes: Iterable[int] = range(LANES)) -> list[Outgoing]:
    """ "The last position of this lane is …": empty frames by which even a lost last frame is noticed."""
    return [
        Outgoing(
            LOG,
            lane_key(lane),
            b"[]",
            message_id=f"{lane}-beacon-{lane_positions[lane]}-{epoch}",
            content_type=BATCH,
            headers=frame_headers(lane, lane_positions[lane], lane_positions[lane]),
        )
        for lane in lanes
        if lane_positions[lane]
    ]


def single_messages(events: Sequence[Recorded]) -> list[Outgoing]:
    """One message per event for `nexus.events`; nobody need be bound."""
    return [
        Outgoing(
            EVENTS,
            inbound_key(event.tenant_id, event.type),
            event.json,
            message_id=event.event_id,
            content_type=STRUCTURED,
            headers={"sequence": event.position},
            mandatory=False,
        )
        for event in events
    ]


def parts(events: Sequence[Recorded]) -> Iterable[Sequence[Recorded]]:
    """Runs of at most 100 events or 256 KiB; a larger event goes alone."""
    part: list[Recorded] = []
    size = 0
    for event in events:
        if part and (len(part) == FRAME_EVENTS or size + len(event.json) > FRAME_BYTES):
            yield part
            part, size = [], 0
        part.append(event)
        size += len(event.json)
    if part:
        yield part
