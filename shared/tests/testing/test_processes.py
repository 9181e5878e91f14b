"""Seeing other processes as they are."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from nexus_shared.testing.processes import is_alive, wait_until

# Ends the main thread alone (exit, not exit_group) while another one goes on for a second.
HEADLESS = (
    "import ctypes, threading, time\n"
    "threading.Thread(target=time.sleep, args=(1,)).start()\n"
    "ctypes.CDLL(None).syscall(60, 0)\n"
)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls the kernel by its number there")
def test_a_process_whose_main_thread_is_gone_lives_until_its_last_thread_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", HEADLESS]) as process:
        assert wait_until(lambda: "Z" in _state(process.pid), 10)
        assert is_alive(process.pid)

        assert wait_until(lambda: not is_alive(process.pid), 10)


def _state(pid: int) -> str:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rsplit(")", 1)[1].split()[0]
