"""The live feed of events (server-sent events), followed across restarts of the service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nexus_cli.api import Api, ServiceAway

STREAM = "/v1/events/stream"
RECONNECT_SECONDS = 1.0


@dataclass(frozen=True)
class Update:
    """One event of the feed; `id` is its position."""

    id: str
    data: str

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.data)
        return found


@dataclass
class SseParser:
    """Puts lines of `text/event-stream` together to updates."""

    last_id: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> Update | None:
        """The update that this line completes. Comments and the feed's heartbeats complete none."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id":
                self.last_id = value
            return None
        data, self._data = "\n".join(self._data), []
        return Update(self.last_id, data) if data else None


def follow(api: Api, filters: Mapping[str, Any], *, after: str = "") -> Iterator[Update]:
    """Updates as they come, for ever. Where the connection breaks it goes on after the last one.

    The first connection must succeed: what it fails with is raised.
    """
    parser, has_connected = SseParser(last_id=after), False
    while True:
        headers = {"Last-Event-ID": parser.last_id} if parser.last_id else {}
        try:
            with api.stream(STREAM, filters, headers) as lines:
                has_connected = True
                for line in lines:
                    if update := parser.feed(line):
                        yield update
        except ServiceAway:
            if not has_connected:
                raise
        time.sleep(RECONNECT_SECONDS)


def line_of(update: Update) -> str:
    """An event as one line: position, time of recording or of happening, type, subject, source."""
    event = update.event
    moment = str(event.get("time", ""))[11:19]
    parts = (f"#{update.id}", moment, event.get("type"), event.get("subject"), f"from {event.get('source')}")
    return "  ".join(str(part) for part in parts if part)
