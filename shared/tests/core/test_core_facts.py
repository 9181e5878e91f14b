import orjson

from nexus_shared import wire
from nexus_shared.envelope import BATCH
from nexus_shared.facts import fact_messages
from nexus_shared.testing.builders import a_lead_created
from nexus_shared.topology import FACTS_KEY, INBOUND


def test_facts_of_many_tenants_travel_in_full_batches_and_in_order() -> None:
    events = [a_lead_created(number=n, tenantid=f"clinica-{n % 3}") for n in range(1_001)]
    messages = fact_messages(events)
    assert [len(orjson.loads(message.body)) for message in messages] == [500, 500, 1]
    assert {(message.exchange, message.key, message.content_type) for message in messages} == {
        (INBOUND, FACTS_KEY, BATCH)
    }
    read = [item.value["id"] for m in messages for item in wire.read(m.body, m.content_type, {})[0]]
    assert read == [event.id for event in events]
    assert len({message.message_id for message in messages}) == 3


def test_no_facts_are_no_messages() -> None:
    assert fact_messages([]) == []


def test_large_facts_travel_in_batches_that_the_door_takes() -> None:
    events = [a_lead_created(number=n, data={"message_first": "x" * 60_000}) for n in range(150)]
    messages = fact_messages(events)
    assert len(messages) > 2
    read = [item.value["id"] for m in messages for item in wire.read(m.body, m.content_type, {})[0]]
    assert read == [event.id for event in events]
