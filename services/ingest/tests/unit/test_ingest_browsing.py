"""What somebody wants to see of the log, and what "processed" means."""

from __future__ import annotations

import pytest

from nexus_ingest.domain.browsing import Progress, contains, fits_any, like
from nexus_shared.topology import LANES


def lanes(**positions: int) -> list[int]:
    """`lanes(l3=40)`: position 40 on lane 3, 0 on the others."""
    return [positions.get(f"l{lane}", 0) for lane in range(LANES)]


def test_an_event_is_processed_once_its_lane_was_read_so_far() -> None:
    progress = Progress.of(lanes(l3=40), lanes(l3=60, l5=50), 60)

    assert progress.status(3, 40) == "processed"
    assert progress.status(3, 41) == "pending"
    assert progress.status(5, 10) == "pending"


def test_a_reader_that_never_reported_has_processed_nothing() -> None:
    progress = Progress.of(None, lanes(l3=60), 60)

    assert progress.status(3, 1) == "pending"
    assert progress.floor == 0


def test_lanes_read_to_their_end_hold_nothing_back_however_quiet_they_are() -> None:
    sent = lanes(l3=60, l5=7)

    assert Progress.of(lanes(l3=60, l5=7), sent, 60).floor == 60
    assert Progress.of(lanes(l3=42, l5=7), sent, 60).floor == 42
    assert Progress.of(lanes(l3=60, l5=6), sent, 60).floor == 6


def test_a_reader_ahead_of_what_the_relay_has_saved_is_at_its_end() -> None:
    progress = Progress.of(lanes(l3=65), lanes(l3=60), 60)

    assert progress.floor == 60
    assert progress.status(3, 65) == "processed"


def test_before_anything_was_sent_nothing_is_processed() -> None:
    assert Progress.of(None, lanes(), 0).status(0, 1) == "pending"


@pytest.mark.parametrize(
    ("pattern", "type", "fits"),
    [
        ("lead.created", "lead.created", True),
        ("lead.created", "leadXcreated", False),
        ("lead.*", "lead.status_changed", True),
        ("lead.*", "leads.created", False),
        ("*.message.*", "whatsapp.message.received", True),
        ("*", "anything.at_all", True),
        ("lead_created", "lead.created", False),
    ],
)
def test_a_pattern_means_the_same_in_memory_and_in_the_store(pattern: str, type: str, fits: bool) -> None:
    assert (fits_any([pattern]).fullmatch(type) is not None) is fits
    assert "_" not in like(pattern).replace(r"\_", "")


def test_without_patterns_every_type_fits() -> None:
    assert fits_any([]).fullmatch("lead.created")


def test_any_of_several_patterns_is_enough() -> None:
    fits = fits_any(["payment.*", "lead.created"]).fullmatch

    assert fits("payment.overdue")
    assert fits("lead.created")
    assert not fits("lead.created.twice")


@pytest.mark.parametrize(
    ("text", "operand"),
    [
        ("novo", "%novo%"),
        ("100% _", r"%100\% \_%"),
        ('diz "oi"', '%diz \\\\"oi\\\\"%'),
        ("São", "%São%"),
    ],
)
def test_a_text_is_looked_for_as_json_writes_it(text: str, operand: str) -> None:
    assert contains(text) == operand
