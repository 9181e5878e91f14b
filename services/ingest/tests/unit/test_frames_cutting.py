from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_ingest.domain.frames import (
    FRAME_BYTES,
    FRAME_EVENTS,
    Recorded,
    beacons,
    cut_frames,
    frame,
    lane_for,
    single_messages,
)
from nexus_shared.lanes import lane_of, read_frame
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.messaging.publisher import Outgoing
from nexus_shared.testing.builders import NOW
from nexus_shared.topology import EVENTS, LANES, LOG


def a_recorded(position: int, lane: int = 0, size: int = 0) -> Recorded:
    json = orjson.dumps({"id": f"e-{position}", "sequence": str(position), "x": "x" * size})
    return Recorded(position, NOW, lane, "clinica-sul", "lead.created", f"e-{position}", json)


def received(message: Outgoing) -> Any:
    return read_frame(Delivery(message.body, headers=dict(message.headers)))


def positions_of(message: Outgoing) -> list[int]:
    return [int(event["sequence"]) for event in received(message).events]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, LANES - 1), max_size=300), st.integers(0, 2**40))
def test_every_event_goes_out_once_on_its_lane_and_each_lane_is_a_chain(lanes: list[int], start: int) -> None:
    before = [start if lane % 2 else 0 for lane in range(LANES)]
    events = [a_recorded(start + 1 + number, lane) for number, lane in enumerate(lanes)]
    cut = cut_frames(events, before, epoch=1)
    ends = list(before)
    for message in cut.messages:
        one = received(message)
        assert one.prev == ends[one.lane]
        assert one.last == positions_of(message)[-1]
        assert message.key == f"{one.lane:02d}"
        ends[one.lane] = one.last
    assert ends == cut.lane_positions
    for lane in range(LANES):
        sent = [position for m in cut.messages if received(m).lane == lane for position in positions_of(m)]
        assert sent == [event.position for event in events if event.lane == lane]
    assert len({message.message_id for message in cut.messages}) == len(cut.messages)


def test_a_frame_has_at_most_a_hundred_events() -> None:
    cut = cut_frames([a_recorded(n) for n in range(1, 252)], [0] * LANES, 1)
    assert [len(positions_of(message)) for message in cut.messages] == [FRAME_EVENTS, FRAME_EVENTS, 51]


def test_a_frame_has_at_most_256_kib_unless_one_event_is_larger() -> None:
    events = [a_recorded(n, size=100_000) for n in range(1, 6)] + [a_recorded(6, size=300_000), a_recorded(7)]
    cut = cut_frames(events, [0] * LANES, 1)
    assert [positions_of(message) for message in cut.messages] == [[1, 2], [3, 4], [5], [6], [7]]
    assert all(len(m.body) <= FRAME_BYTES + 100 for m in cut.messages if positions_of(m) != [6])


def test_nothing_to_cut_leaves_the_lanes_where_they_are() -> None:
    assert cut_frames([], list(range(LANES)), 1).lane_positions == list(range(LANES))
    assert cut_frames([], [0] * LANES, 1).messages == []


def test_a_frame_goes_to_the_log_and_must_find_its_queue() -> None:
    message = frame(7, 3, [a_recorded(9, 7)], epoch=2)
    assert (message.exchange, message.key, message.mandatory) == (LOG, "07", True)
    assert dict(message.headers) == {"lane": 7, "prev": 3, "last": 9}
    assert message.message_id != frame(7, 3, [a_recorded(9, 7)], epoch=3).message_id


def test_a_beacon_tells_where_its_lane_ends_and_lanes_without_events_have_none() -> None:
    positions = [0] * LANES
    positions[3], positions[15] = 17, 18
    found = [received(message) for message in beacons(positions, 1)]
    assert [(one.lane, one.prev, one.last, list(one.events)) for one in found] == [
        (3, 17, 17, []),
        (15, 18, 18, []),
    ]
    assert beacons([0] * LANES, 1) == []


def test_for_subscribers_every_event_is_a_message_with_its_tenant_in_the_key() -> None:
    (message,) = single_messages([a_recorded(9)])
    assert (message.exchange, message.key, message.message_id) == (EVENTS, "clinica-sul.lead.created", "e-9")
    assert (message.mandatory, dict(message.headers)) == (False, {"sequence": 9})
    assert orjson.loads(message.body)["id"] == "e-9"


def test_one_subject_stays_on_one_lane_and_events_without_one_are_spread() -> None:
    assert {lane_for("clinica-sul", "lead/1", f"e-{n}") for n in range(50)} == {
        lane_of("clinica-sul", "lead/1")
    }
    assert len({lane_for("clinica-sul", None, f"e-{n}") for n in range(200)}) == LANES
