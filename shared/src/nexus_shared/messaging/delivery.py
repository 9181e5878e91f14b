"""Messages as they come and go, without the client library's clothes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from aiormq import spec
from aiormq.abc import DeliveredMessage


class Delivery(NamedTuple):
    """One delivered message. `tag` is the channel's delivery tag; `user_id` was checked by the broker."""

    body: bytes
    key: str = ""
    content_type: str = ""
    headers: Mapping[str, Any] = {}
    message_id: str = ""
    user_id: str = ""
    queue: str = ""
    redelivered: bool = False
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `mandatory` = somebody must be bound, or it counts as failed."""

    exchange: str
    key: str
    body: bytes
    message_id: str
    content_type: str = "application/json"
    headers: Mapping[str, Any] = field(default_factory=dict)
    mandatory: bool = True
    reply_to: str | None = None
    correlation_id: str | None = None


def from_aiormq(message: DeliveredMessage, queue: str) -> Delivery:
    properties = message.header.properties
    delivery = cast(spec.Basic.Deliver, message.delivery)
    return Delivery(
        body=message.body,
        key=delivery.routing_key or "",
        content_type=properties.content_type or "",
        headers=properties.headers or {},
        message_id=properties.message_id or "",
        user_id=properties.user_id or "",
        queue=queue,
        redelivered=bool(delivery.redelivered),
        tag=delivery.delivery_tag or 0,
    )
