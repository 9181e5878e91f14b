"""nexus up, status and down with the real services."""

from __future__ import annotations

import os
import signal
import subprocess

import httpx
import pytest

from nexus_cli.testing import NEXUS, System
from nexus_shared.testing.processes import answers, is_alive, wait_until

pytestmark = pytest.mark.e2e


def test_up_starts_everything_and_says_where_it_is(system: System) -> None:
    page = system.start()
    status = system.status

    assert status["running"]
    assert all(service["healthy"] for service in status["services"].values())
    assert status["services"]["ingest"]["url"] in page
    assert status["amqp_url"] in page
    if "runs already" not in page:
        assert status["demo"]["api_key"] in page


def test_a_second_up_finds_it_running(running: System) -> None:
    before = running.pids
    assert "runs already" in running.start()
    assert running.pids == before


def test_one_value_comes_out_for_a_script(running: System) -> None:
    url = running.nexus("status", "--get", "services.ingest.url").stdout.strip()
    assert httpx.get(f"{url}/health/live").json() == {"status": "ok"}


def test_a_killed_service_is_started_again(running: System) -> None:
    before = running.pids["ingest"]
    os.kill(before, signal.SIGKILL)

    assert wait_until(lambda: running.pids.get("ingest") not in (None, before), 15)
    assert wait_until(lambda: running.status["services"]["ingest"]["healthy"], 30)


def test_down_ends_every_process_and_the_next_start_has_the_same_addresses(running: System) -> None:
    before, pids = running.status, running.pids

    assert running.nexus("down").returncode == 0
    assert not [pid for pid in pids.values() if is_alive(pid)]
    assert not answers(httpx.URL(before["services"]["ingest"]["url"]).port or 0)
    assert running.nexus("status").returncode == 1

    running.start()
    after = running.status
    for key in ("services", "amqp_url", "demo"):
        assert after[key] == before[key]


def test_what_a_killed_launcher_leaves_behind_is_taken_over(running: System) -> None:
    pids = running.pids
    os.kill(pids["supervisor"], signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pids["supervisor"]), 10)
    assert is_alive(pids["ingest"])

    running.start()

    assert not is_alive(pids["ingest"])
    assert running.status["services"]["ingest"]["healthy"]


def test_ctrl_c_stops_everything_in_order(running: System) -> None:
    running.stop()
    with subprocess.Popen(
        [NEXUS, "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=running.environment
    ) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "Logs follow" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0, "".join(seen) + rest
    assert "Stopped; the data is kept" in rest
    assert "killed" not in rest
    assert running.pids == {"supervisor": 0}


def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log_and_nothing_keeps_running(
    running: System,
) -> None:
    running.stop()
    done = subprocess.run(
        [NEXUS, "up", "--no-follow"],
        capture_output=True,
        text=True,
        env=running.environment | {"NEXUS_LOG_LEVEL": "nonsense"},
        timeout=120,
    )
    assert done.returncode == 1
    assert "ingest ended with status 1" in done.stderr
    assert "Its log: " in done.stderr
    status = running.status
    assert not status["running"]
    assert status["servers"] == {"postgres": {"pid": None}, "rabbitmq": {"pid": None}}


def test_a_second_terminal_follows_the_logs_and_ends_with_the_system(running: System) -> None:
    with subprocess.Popen(
        [NEXUS, "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=running.environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Logs follow" in line:
                break
        running.nexus("events", "show", "no-such-event", "--key", "no.valid.key")
        running.stop()
        rest = process.stdout.read()
    assert "token_refused" in rest
    assert "Nexus was stopped." in rest
