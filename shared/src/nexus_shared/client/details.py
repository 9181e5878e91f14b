"""What an event may carry beside type and data, and what both publishers can do: the emitters' view of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypedDict, TypeVar, Unpack

from nexus_shared.envelope import Event

Published = TypeVar("Published")
Published_co = TypeVar("Published_co", covariant=True)


class EventDetails(TypedDict, total=False):
    """Attributes of the envelope.

    `id` makes publishing the same fact twice harmless: take it from your own data ("lead-17-created"). Without it the
    event gets a random one. `time` = when it happened (with offset); now, if left out. `subject` = what it is about;
    left out, it comes from the data ("lead/L-17"). Events of one subject are processed in order.
    """

    id: str
    subject: str
    time: datetime
    correlationid: str
    causationid: str
    schemaversion: int
    traceparent: str


class Publishes(Protocol[Published_co]):
    """Both publishers: `publish` gives the event, or something to await for it."""

    def publish(
        self, event: Event | str, data: Mapping[str, Any] | None = None, **details: Unpack[EventDetails]
    ) -> Published_co: ...


def given(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that were not given: absent is not the same as null."""
    return {name: value for name, value in data.items() if value is not None}
