"""Crash points: off by default, exact when armed, and too cheap to notice."""

from __future__ import annotations

import subprocess
import sys
import timeit

import pytest

from nexus_shared import crashpoints
from nexus_shared.crashpoints import arm, crash_point

LOOP = (
    "import sys; from nexus_shared.crashpoints import arm, crash_point\n"
    "arm(sys.argv[1])\n"
    "for n in range(5):\n"
    "    print(n, flush=True); crash_point('here'); crash_point('there')\n"
)


def run_armed(where: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOOP, where], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(("where", "passes"), [("here", 1), ("here:1", 1), ("there:3", 3)])
def test_an_armed_point_ends_the_process_at_its_nth_pass(where: str, passes: int) -> None:
    ended = run_armed(where)

    assert ended.returncode == crashpoints.STATUS
    assert ended.stdout.split() == [str(n) for n in range(passes)]
    assert ended.stderr == f"crash point {where.partition(':')[0]}\n"


@pytest.mark.parametrize("where", ["", "elsewhere:1", "here:6"])
def test_other_points_and_later_passes_change_nothing(where: str) -> None:
    ended = run_armed(where)

    assert (ended.returncode, ended.stdout.split()) == (0, list("01234"))


@pytest.mark.parametrize("where", ["here:0", "here:-1", "here:x", "here:1:2"])
def test_a_wrong_setting_is_refused_at_the_start(where: str) -> None:
    with pytest.raises(ValueError, match="NEXUS_CRASH_AT"):
        arm(where)


def test_a_point_that_is_off_costs_next_to_nothing() -> None:
    best = min(timeit.repeat(lambda: crash_point("here"), number=20_000, repeat=5)) / 20_000

    assert best < 2e-6  # some 60 ns on an idle machine
