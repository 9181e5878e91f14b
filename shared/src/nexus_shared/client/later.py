"""Publishing without waiting for the broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Unpack

from nexus_shared.client.details import EventDetails, Published
from nexus_shared.client.emitters.methods import Emitters
from nexus_shared.envelope import Event


class Later(Emitters, Generic[Published]):
    """A publisher whose `publish` is the other's `publish_later`."""

    def __init__(self, publish: Callable[..., Published]) -> None:
        self._publish = publish

    def publish(
        self, event: Event | str, data: Mapping[str, Any] | None = None, **details: Unpack[EventDetails]
    ) -> Published:
        return self._publish(event, data, **details)
