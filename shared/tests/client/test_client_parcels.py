import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_shared import wire
from nexus_shared.client.parcels import BatchLimits, batches, single
from nexus_shared.testing.builders import a_lead_created

LINES = st.lists(
    st.integers(min_value=10, max_value=400).map(lambda size: b'"' + b"x" * size + b'"'), max_size=60
)


def test_a_single_event_travels_under_its_own_id_and_key() -> None:
    event = a_lead_created()
    parcel = single(event, event.to_json())
    assert (parcel.key, parcel.message_id) == ("clinica-sul.lead.created", event.id)
    assert parcel.content_type == "application/cloudevents+json"
    assert orjson.loads(parcel.content) == event.as_dict()


@given(lines=LINES, events=st.integers(1, 10), size=st.integers(50, 900))
def test_batches_keep_every_event_in_order_and_stay_within_their_limits(
    lines: list[bytes], events: int, size: int
) -> None:
    numbered = [(str(number), line) for number, line in enumerate(lines)]
    found = list(batches("clinica-sul", numbered, BatchLimits(events, size)))
    assert [line for parcel in found for line in parcel.lines] == lines
    assert all(len(parcel.lines) <= events for parcel in found)
    assert all(len(parcel.content) <= size or len(parcel.lines) == 1 for parcel in found)


def test_a_batch_is_readable_at_the_door_and_its_id_is_derived_from_its_events() -> None:
    events = [a_lead_created(number=number) for number in range(3)]
    lines = [(event.id, event.to_json()) for event in events]
    (parcel,) = batches("clinica-sul", lines, BatchLimits())
    items, is_batch = wire.read(parcel.content, parcel.content_type, {})
    assert is_batch
    assert [wire.envelope(item.value) for item in items] == events
    assert parcel.key == "clinica-sul.batch"
    assert list(batches("clinica-sul", lines, BatchLimits())) == [parcel]
    assert next(batches("clinica-sul", lines[:2], BatchLimits())).message_id != parcel.message_id


@pytest.mark.parametrize("limits", [(0, 1000), (501, 1000), (10, 0), (10, 4 * 2**20 + 1)])
def test_a_batch_larger_than_the_door_takes_cannot_be_asked_for(limits: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1 to 500 events and at most 4194304 bytes"):
        BatchLimits(*limits)


def test_the_same_ids_with_other_content_are_not_the_same() -> None:
    event = a_lead_created()
    later = event.model_copy(update={"time": None})
    other = a_lead_created(data={"status": "perdido"})
    parcel = single(event, event.to_json())
    assert parcel.says_the_same(single(later, later.to_json()))
    assert not parcel.says_the_same(single(other, other.to_json()))
