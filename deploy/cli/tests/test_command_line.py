"""The command as a person meets it: help, exit codes, one sentence for what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NEXUS = Path(sys.executable).parent / "nexus"
VERBS = (
    *("up", "down", "status", "doctor", "migrate", "demo"),
    *("events tail", "events publish", "events show", "log verify"),
    *("token create", "token list", "token revoke", "token decode", "publisher add", "publisher list"),
)


def nexus(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return subprocess.run(
        [NEXUS, *arguments], capture_output=True, text=True, env=inherited | environment, timeout=60
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = nexus(*verb.split(), "--help")
    assert done.returncode == 0
    assert f"nexus {verb}" in done.stdout


def test_wrong_usage_exits_with_2() -> None:
    done = nexus("fly")
    assert done.returncode == 2
    assert "No such command 'fly'" in done.stderr


def test_what_is_not_running_is_one_sentence_and_what_to_do(tmp_path: Path) -> None:
    done = nexus("events", "tail", "--dir", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"nexus: Nexus is not running from {tmp_path}.",
        "Start it with: nexus up",
    ]


def test_a_directory_that_cannot_be_one_exits_with_3(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = nexus("up", "--no-follow", "--dir", str(file / "inside"))
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_directory_can_come_from_the_environment(tmp_path: Path) -> None:
    done = nexus("status", NEXUS_DIR=str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path) in done.stdout


def test_down_where_nothing_ever_ran_is_no_failure(tmp_path: Path) -> None:
    done = nexus("down", "--dir", str(tmp_path))
    assert done.returncode == 0
    assert "Nothing was ever started" in done.stdout
    assert list(tmp_path.iterdir()) == []
