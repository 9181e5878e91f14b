"""Lanes: how events of one subject stay in order, and how a lost frame is noticed.

The relay cuts the log into 16 lanes and publishes frames; each carries `prev`, the lane's previous position. A consumer
keeps one position per lane. Nothing is parked: a hole is discarded and asked for again, from the log.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from nexus_shared.messaging.delivery import Delivery
from nexus_shared.topology import LANES


def lane_of(tenant_id: str, subject: str) -> int:
    """The lane of a subject: changing the number of lanes is a drain (docs/operations.md)."""
    return zlib.crc32(f"{tenant_id}|{subject}".encode()) % LANES


@dataclass(frozen=True, slots=True)
class Frame:
    """Events of one lane, positions rising; a beacon has none and `prev == last`."""

    lane: int
    prev: int
    last: int
    events: Sequence[dict[str, Any]] = ()


class Verdict(Enum):
    TAKE = "take"
    NOTHING = "nothing"
    HOLE = "hole"


def judge(mine: int, prev: int, last: int) -> Verdict:
    """What a consumer at position `mine` does with a frame: take what is above mine, nothing, or report a hole."""
    if prev > mine:
        return Verdict.HOLE
    return Verdict.TAKE if last > mine else Verdict.NOTHING


def frame_headers(lane: int, prev: int, last: int) -> dict[str, int]:
    return {"lane": lane, "prev": prev, "last": last}


def read_frame(delivery: Delivery) -> Frame:
    """A frame from the wire; the body is a JSON array of CloudEvents with `sequence`."""
    headers = delivery.headers
    return Frame(
        lane=int(headers["lane"]),
        prev=int(headers["prev"]),
        last=int(headers["last"]),
        events=orjson.loads(delivery.body),
    )
