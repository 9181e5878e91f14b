import collections

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_shared.lanes import Verdict, frame_headers, judge, lane_of, read_frame
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.topology import LANES


@pytest.mark.parametrize(
    ("mine", "prev", "last", "verdict"),
    [
        (0, 0, 5, Verdict.TAKE),  # the lane's first frame
        (5, 5, 9, Verdict.TAKE),  # the next one
        (7, 5, 9, Verdict.TAKE),  # cut differently: a part of it is new
        (9, 5, 9, Verdict.NOTHING),  # again
        (9, 2, 4, Verdict.NOTHING),  # long ago
        (5, 7, 9, Verdict.HOLE),  # something between 5 and 7 is missing
        (0, 7, 9, Verdict.HOLE),
        (9, 9, 9, Verdict.NOTHING),  # a beacon that knows no more than we do
        (5, 9, 9, Verdict.HOLE),  # a beacon: the last frame was lost
        (9, 5, 5, Verdict.NOTHING),  # a beacon of a relay that starts from an older cursor
    ],
)
def test_a_frame_is_taken_dropped_or_shows_a_hole(mine: int, prev: int, last: int, verdict: Verdict) -> None:
    assert judge(mine, prev, last) is verdict


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_nothing_is_ever_skipped_or_taken_twice(mine: int, prev: int, length: int) -> None:
    verdict = judge(mine, prev, prev + length)
    assert (verdict is Verdict.HOLE) == (prev > mine)
    assert (verdict is Verdict.TAKE) == (prev <= mine < prev + length)


def test_a_subject_stays_on_its_lane_for_ever() -> None:
    """These are fixed: another number of lanes, or another hash, is a drain."""
    lanes = [lane_of("clinica-sul", f"lead/lead-{number}") for number in range(6)]
    assert lanes == [4, 2, 8, 14, 13, 11]
    assert lane_of("clinica-sul", "lead/ção") == 12


def test_subjects_spread_over_all_lanes_evenly() -> None:
    lanes = collections.Counter(lane_of("clinica-sul", f"lead/{number}") for number in range(16_000))
    assert set(lanes) == set(range(LANES))
    assert max(lanes.values()) < 1.2 * min(lanes.values())


def test_a_frame_is_read_from_the_wire() -> None:
    body = orjson.dumps([{"id": "1", "sequence": "8"}, {"id": "2", "sequence": "9"}])
    frame = read_frame(Delivery(body, headers=frame_headers(3, 5, 9)))
    assert (frame.lane, frame.prev, frame.last) == (3, 5, 9)
    assert [event["id"] for event in frame.events] == ["1", "2"]
    beacon = read_frame(Delivery(b"[]", headers=frame_headers(3, 9, 9)))
    assert (beacon.prev, beacon.last, list(beacon.events)) == (9, 9, [])
