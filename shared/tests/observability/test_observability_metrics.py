from __future__ import annotations

from typing import Any

import pytest
from faststream.rabbit import RabbitBroker, RabbitExchange, RabbitQueue, TestRabbitBroker
from prometheus_client import generate_latest

from nexus_shared.observability.broker import broker_metrics
from nexus_shared.observability.metrics import BATCH, counter, gauge, histogram, new_registry


def test_names_say_the_thing_and_its_unit() -> None:
    registry = new_registry("ingest")
    counter(registry, "events_recorded", "Events recorded", ["door"]).labels("amqp").inc(3)
    gauge(registry, "outbox_age_seconds", "Age of the oldest row").set(1.5)
    histogram(registry, "append_events", "Events per append", buckets=BATCH).observe(100)

    text = generate_latest(registry).decode()

    assert 'nexus_events_recorded_total{door="amqp"} 3.0' in text
    assert "nexus_outbox_age_seconds 1.5" in text
    assert 'nexus_append_events_bucket{le="100.0"} 1.0' in text
    assert 'nexus_service_info{service="ingest"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text


@pytest.mark.parametrize("thing", ["Events", "nexus_events", "events-recorded", "_events", "events__x"])
def test_a_name_outside_the_convention_is_refused(thing: str) -> None:
    with pytest.raises(ValueError, match="snake case"):
        counter(new_registry("ingest"), thing, "x")


def test_a_gauge_or_histogram_without_a_unit_is_refused() -> None:
    for make in (gauge, histogram):
        with pytest.raises(ValueError, match="must end in a unit"):
            make(new_registry("ingest"), "outbox_age", "x")


@pytest.mark.parametrize("label", ["tenant", "tenant_id", "routing_key", "subject", "lead_id"])
def test_a_label_without_bounds_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match=f"'{label}' takes any number of values"):
        counter(new_registry("ingest"), "events_recorded", "x", ["door", label])


async def test_broker_metrics_do_not_grow_with_tenants() -> None:
    registry = new_registry("ingest")
    broker = RabbitBroker(middlewares=[broker_metrics(registry, "ingest")])
    events = RabbitExchange("nexus.events", type="topic")  # type: ignore[arg-type]

    @broker.subscriber(RabbitQueue("all", routing_key="#"), events)
    async def handle(body: Any) -> None:
        """Takes everything."""

    async with TestRabbitBroker(broker) as running:
        for tenant in range(20):
            await running.publish({}, f"clinica-{tenant}.lead.created", events)

    text = generate_latest(registry).decode()
    assert "clinica-" not in text
    assert 'destination="nexus.events"' in text
    assert any(
        line.startswith("nexus_broker_received_messages_total") and line.endswith(" 20.0")
        for line in text.splitlines()
    )
