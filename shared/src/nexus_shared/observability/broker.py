"""FastStream's own metrics with labels that stay few.

Kept apart from `metrics`, so that a process without a broker does not pay for importing FastStream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faststream.prometheus import ConsumeAttrs
from faststream.prometheus.middleware import PrometheusMiddleware
from faststream.rabbit.prometheus.provider import RabbitMetricsSettingsProvider
from faststream.rabbit.response import RabbitPublishCommand

if TYPE_CHECKING:
    from aio_pika import IncomingMessage
    from faststream.message import StreamMessage
    from prometheus_client import CollectorRegistry


class ByExchange(RabbitMetricsSettingsProvider):
    """Labels by exchange; FastStream's default adds the routing key, which holds the tenant and never ends."""

    def get_consume_attrs_from_message(self, msg: StreamMessage[IncomingMessage]) -> ConsumeAttrs:
        attrs = super().get_consume_attrs_from_message(msg)
        attrs["destination_name"] = msg.raw_message.exchange or "default"
        return attrs

    def get_publish_destination_name_from_cmd(self, cmd: RabbitPublishCommand) -> str:
        return cmd.exchange.name or "default"


def broker_metrics(registry: CollectorRegistry, service: str) -> PrometheusMiddleware[Any, Any]:
    """The middleware to give to RabbitBroker."""
    return PrometheusMiddleware(
        settings_provider_factory=lambda _: ByExchange(),
        registry=registry,
        app_name=service,
        metrics_prefix="nexus_broker",
        received_messages_size_buckets=[256.0 * 4**power for power in range(8)],
    )
