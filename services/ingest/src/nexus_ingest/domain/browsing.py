"""Looking things up in the log: what somebody wants to see, and how far trigger-processor is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import orjson

from nexus_shared.topology import LANES

Status = Literal["processed", "pending"]
Order = Literal["desc", "asc"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which events; None or empty = all. Times are those of recording, `since` inclusive, `until` exclusive."""

    types: Sequence[str] = ()
    subject: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    status: Status | None = None
    is_known: bool | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the relay has sent and trigger-processor has read; an event up to `floor` is certainly processed."""

    lanes: Sequence[int]
    floor: int

    @classmethod
    def of(cls, read: Sequence[int] | None, sent: Sequence[int], sent_position: int) -> Progress:
        """`read[l]` and `sent[l]` are the last positions on lane l; `sent_position` is the last one on any lane.

        A lane read to its end says that nothing up to `sent_position` is left on it, however old its last event is.
        """
        lanes = list(read) if read is not None else [0] * LANES
        ends = [mine if mine < last else sent_position for mine, last in zip(lanes, sent, strict=True)]
        return cls(lanes, min(ends))

    def status(self, lane: int, position: int) -> Status:
        return "processed" if position <= max(self.floor, self.lanes[lane]) else "pending"


def like(pattern: str) -> str:
    """`lead.*` as an operand of SQL's LIKE: `*` is anything, dots included."""
    return _literal(pattern).replace("*", "%")


def contains(text: str) -> str:
    """An operand of LIKE for JSON in which `text` stands, as JSON writes it."""
    return f"%{_literal(orjson.dumps(text)[1:-1].decode())}%"


def _literal(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def fits_any(patterns: Sequence[str]) -> re.Pattern[str]:
    """The same patterns for a comparison in memory; none = every type fits."""
    return re.compile(
        "|".join(".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns or ("*",))
    )
