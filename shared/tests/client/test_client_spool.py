import logging
import os
import stat
from pathlib import Path

import pytest

from nexus_shared.client import SpoolFull, SpoolInUse, SpoolUnusable
from nexus_shared.client.spool import DAMAGED, SEGMENT_BYTES, Spool
from nexus_shared.testing.builders import a_lead_created

LINES = [a_lead_created(number=number).to_json() for number in range(10)]
MIB = 2**20


def a_spool(directory: Path, *, tenant_id: str = "clinica-sul", limit: int = 64 * MIB) -> Spool:
    return Spool(directory, tenant_id, limit)


def found(directory: Path) -> list[bytes]:
    """What a start finds."""
    spool = a_spool(directory)
    lines = [event.line for _, kept in spool.open() for event in kept]
    spool.close()
    return lines


def filled(directory: Path, lines: list[bytes]) -> Path:
    """A spool left behind with these lines; the file they are in."""
    spool = a_spool(directory)
    spool.open()
    segment = spool.append(lines)
    spool.close()
    return segment.path


def test_what_was_not_confirmed_is_found_at_the_next_start_in_order(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    assert spool.open() == []
    for line in LINES:
        spool.append([line])
    spool.close()
    assert found(tmp_path) == LINES
    assert found(tmp_path) == LINES


def test_a_spool_with_everything_confirmed_is_empty(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    spool.open()
    segment = spool.append(LINES)
    spool.settle(segment, 4)
    assert segment.path.stat().st_size > 0
    spool.settle(segment, 6)
    assert segment.path.stat().st_size == 0
    spool.settle(spool.append(LINES[:1]), 1)
    spool.close()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    assert found(tmp_path) == []


def test_segments_go_away_one_by_one_as_their_events_are_confirmed(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    spool.open()
    big = [
        a_lead_created(number=number, data={"interest_text": "x" * 60_000}).to_json() for number in range(40)
    ]
    segments = [spool.append([line]) for line in big]
    files = {segment.path for segment in segments}
    assert len(files) > 1
    for segment in segments[:-1]:
        spool.settle(segment, 1)
    assert [path for path in files if path.exists()] == [segments[-1].path]
    assert segments[-1].path.stat().st_size < 2 * SEGMENT_BYTES
    spool.close()
    assert big[-1] in found(tmp_path)


def test_a_full_spool_says_so_and_has_room_again_after_confirms(tmp_path: Path) -> None:
    spool = a_spool(tmp_path, limit=2 * len(LINES[0]) + 300)
    spool.open()
    size = len(LINES[0]) + 1
    for line in LINES[:2]:
        spool.reserve(len(line) + 1)
    with pytest.raises(SpoolFull, match="raise spool_limit"):
        spool.reserve(size)
    segment = spool.append(LINES[:2])
    spool.settle(segment, 2)
    spool.reserve(size)
    spool.close()


def test_a_line_cut_off_by_a_crash_is_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = filled(tmp_path, LINES)
    path.write_bytes(path.read_bytes()[:-20])
    with caplog.at_level(logging.WARNING, "nexus_shared.client"):
        assert found(tmp_path) == LINES[:-1]
    assert [record.message.split(" of ")[0] for record in caplog.records] == ["Line 10"]
    assert found(tmp_path) == LINES[:-1]


def test_a_line_damaged_on_disk_is_put_aside_and_the_others_are_sent(tmp_path: Path) -> None:
    path = filled(tmp_path, LINES)
    path.write_bytes(path.read_bytes().replace(LINES[3], b"\x00\xff garbage", 1))
    assert found(tmp_path) == LINES[:3] + LINES[4:]
    assert b"garbage" in (tmp_path / DAMAGED).read_bytes()


def test_an_event_after_a_torn_line_is_not_glued_to_it(tmp_path: Path) -> None:
    path = filled(tmp_path, LINES[:2])
    path.write_bytes(path.read_bytes()[:-20])
    spool = a_spool(tmp_path)
    spool.open()
    spool.append([LINES[5]])
    spool.close()
    assert found(tmp_path) == [LINES[0], LINES[5]]


def test_a_crash_while_gathering_leaves_no_event_twice(tmp_path: Path) -> None:
    path = filled(tmp_path, LINES)
    copy = path.with_name("000000009.jsonl")
    copy.write_bytes(path.read_bytes())
    assert found(tmp_path) == LINES


def test_refused_events_wait_for_the_next_start(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    spool.open()
    segment = spool.append(LINES[:2])
    spool.set_aside([LINES[0]])
    spool.settle(segment, 2)
    spool.append([LINES[2]])
    spool.close()
    assert found(tmp_path) == [LINES[0], LINES[2]]


def test_two_processes_do_not_share_a_spool(tmp_path: Path) -> None:
    first, second = a_spool(tmp_path), a_spool(tmp_path)
    first.open()
    with pytest.raises(SpoolInUse, match="its own spool_dir"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_spool_of_another_tenant_is_left_alone(tmp_path: Path) -> None:
    filled(tmp_path, LINES)
    other = a_spool(tmp_path, tenant_id="clinica-norte")
    with pytest.raises(SpoolUnusable, match="clinica-sul"):
        other.open()
    assert found(tmp_path) == LINES


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusable, match="file/spool"):
        a_spool(tmp_path / "file" / "spool").open()


def test_nobody_else_may_read_a_spool(tmp_path: Path) -> None:
    path = filled(tmp_path / "spool", LINES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_write_that_fails_takes_nothing_and_the_next_one_starts_a_new_file(tmp_path: Path) -> None:
    spool = a_spool(tmp_path)
    spool.open()
    first = spool.append(LINES[:1])
    with Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), first.descriptor)
    with pytest.raises(SpoolUnusable, match="not taken"):
        spool.append([LINES[1]])
    second = spool.append([LINES[2]])
    assert second.path != first.path
    spool.close()
    assert found(tmp_path) == [LINES[0], LINES[2]]
