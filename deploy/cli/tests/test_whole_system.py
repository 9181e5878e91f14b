"""nexus up, status and down with the real services."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus_shared.testing.processes import answers, is_alive, wait_until

pytestmark = pytest.mark.e2e

NEXUS = Path(sys.executable).parent / "nexus"


class System:
    """An installation below `directory`, driven through the command alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def nexus(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [NEXUS, *arguments], capture_output=True, text=True, env=self.environment, timeout=120
        )

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
        return inherited | {"NEXUS_DIR": str(self.directory)}

    def start(self) -> subprocess.CompletedProcess[str]:
        done = self.nexus("up", "--no-follow")
        assert done.returncode == 0, done.stderr + done.stdout
        return done

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.nexus("status", "--json").stdout)
        return found

    @property
    def memory(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "launcher.json").read_text())
        return found


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    directory = Path(tempfile.mkdtemp(prefix="nexus-test-", dir="/var/tmp"))
    made = System(directory)
    yield made
    made.nexus("down")
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def running(system: System) -> System:
    system.start()
    return system


def test_up_starts_everything_and_says_where_it_is(system: System) -> None:
    page = system.start().stdout
    status = system.status

    assert status["running"]
    assert all(service["healthy"] for service in status["services"].values())
    assert status["services"]["ingest"]["url"] in page
    assert status["amqp_url"] in page
    assert status["demo"]["api_key"] in page


def test_a_second_up_finds_it_running(running: System) -> None:
    before = running.memory
    assert "runs already" in running.nexus("up", "--no-follow").stdout
    assert running.memory == before


def test_one_value_comes_out_for_a_script(running: System) -> None:
    url = running.nexus("status", "--get", "services.ingest.url").stdout.strip()
    assert httpx.get(f"{url}/health/live").json() == {"status": "ok"}


def test_a_killed_service_is_started_again(running: System) -> None:
    before = running.memory["pids"]["ingest"]
    os.kill(before, signal.SIGKILL)

    assert wait_until(lambda: running.memory["pids"].get("ingest") not in (None, before), 15)
    assert wait_until(lambda: running.status["services"]["ingest"]["healthy"], 30)


def test_down_ends_every_process_and_the_next_start_has_the_same_addresses(running: System) -> None:
    before, pids = running.status, running.memory["pids"]

    assert running.nexus("down").returncode == 0
    assert not [pid for pid in pids.values() if is_alive(pid)]
    assert not answers(httpx.URL(before["services"]["ingest"]["url"]).port or 0)
    assert running.nexus("status").returncode == 1

    running.start()
    after = running.status
    for key in ("services", "amqp_url", "demo"):
        assert after[key] == before[key]


def test_what_a_killed_launcher_leaves_behind_is_taken_over(running: System) -> None:
    memory = running.memory
    os.kill(memory["supervisor"], signal.SIGKILL)
    assert wait_until(lambda: not is_alive(memory["supervisor"]), 10)
    assert is_alive(memory["pids"]["ingest"])

    running.start()

    assert not is_alive(memory["pids"]["ingest"])
    assert running.status["services"]["ingest"]["healthy"]


def test_ctrl_c_stops_everything_in_order(running: System) -> None:
    running.nexus("down")
    with subprocess.Popen(
        [NEXUS, "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=running.environment
    ) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "Logs follow" in line:
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0, "".join(seen) + rest
    assert "Stopped; the data is kept" in rest
    assert "killed" not in rest
    assert running.memory["pids"] == {}
