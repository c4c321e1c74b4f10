"""Tests that busy processes compute, and end with their parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.busy import busy_processes
from tests.waiting import TIMEOUT_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
STARTER = """
from tests.busy import busy_processes
with busy_processes(1) as (busy,):
    print(busy.pid, flush=True)
    input()
"""


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_running(pid: int) -> bool:
    """Returns whether a process runs; zombie processes do not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_busy_processes_compute_until_the_block_ends() -> None:
    with busy_processes(2) as running:
        before = [processor_seconds(each.pid) for each in running]
        wait_until(
            lambda: all(processor_seconds(each.pid) > was + 0.1 for each, was in zip(running, before, strict=True))
        )
    assert all(each.returncode is not None for each in running)


def test_busy_processes_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:  # fmt: skip
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_running(pid)
        starter.kill()
        starter.wait(TIMEOUT_SECONDS)
    wait_until(lambda: not is_running(pid))
