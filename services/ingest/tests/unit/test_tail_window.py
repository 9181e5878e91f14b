from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_ingest.domain.frames import Recorded
from nexus_ingest.domain.tail import Tail
from nexus_shared.testing.builders import NOW


def recorded(*positions: int) -> list[Recorded]:
    return [
        Recorded(position, NOW, 0, "clinica-sul", "lead.created", str(position), b"{}")
        for position in positions
    ]


def positions(events: list[Recorded]) -> list[int]:
    return [event.position for event in events]


def test_the_window_answers_what_comes_right_after_a_position() -> None:
    tail = Tail()
    tail.add(recorded(5, 6, 7))
    tail.add(recorded(8))
    assert positions(tail.after(4, 100)) == [5, 6, 7, 8]
    assert positions(tail.after(6, 1)) == [7]
    assert tail.after(8, 100) == []
    assert tail.after(3, 100) == [], "5 does not come right after 3"
    assert (tail.ends_at(8), tail.ends_at(7)) == (True, False)


def test_an_empty_window_knows_nothing() -> None:
    tail = Tail()
    tail.add([])
    assert tail.after(0, 100) == []
    assert not tail.ends_at(0)


def test_where_another_instance_came_between_the_window_begins_anew() -> None:
    tail = Tail()
    tail.add(recorded(1, 2))
    tail.add(recorded(5))
    assert tail.after(0, 100) == []
    assert tail.after(2, 100) == []
    assert positions(tail.after(4, 100)) == [5]


def test_a_slow_relay_finds_the_window_gone_and_not_a_part_of_it() -> None:
    tail = Tail(capacity=10)
    for position in range(1, 31):
        tail.add(recorded(position))
        assert len(tail.after(0, 1000)) in (0, position)
    assert tail.after(5, 100) == []
    assert positions(tail.after(28, 100)) == [29, 30]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=30), st.integers(2, 12))
def test_whatever_it_answers_is_gapless_and_begins_right_after(
    steps: list[tuple[int, int]], capacity: int
) -> None:
    """`steps`: others append so many, then we append so many."""
    tail, end = Tail(capacity), 0
    for others, ours in steps:
        first = end + others + 1
        end = first + ours - 1
        tail.add(recorded(*range(first, end + 1)))
        for position in range(max(0, end - 15), end + 2):
            found = positions(tail.after(position, 5))
            assert found == list(range(position + 1, position + 1 + len(found)))
            assert all(each <= end for each in found)
        assert tail.ends_at(end)
