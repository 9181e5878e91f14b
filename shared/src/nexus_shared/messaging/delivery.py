"""A message as it came, without the client library's clothes."""

from __future__ import annotations

from collections.abc import Mapping
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
