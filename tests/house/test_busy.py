"""The processes that keep the cores busy during the tests: they compute, and none is left behind."""

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


def is_there(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_they_compute_until_the_block_ends() -> None:
    with busy_processes(2) as running:
        before = [processor_seconds(each.pid) for each in running]
        wait_until(
            lambda: all(processor_seconds(each.pid) > was + 0.1 for each, was in zip(running, before, strict=True))
        )
    assert all(each.returncode is not None for each in running)


def test_they_end_when_the_process_that_started_them_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:  # fmt: skip
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_there(pid)
        starter.kill()
        starter.wait(TIMEOUT_SECONDS)
    wait_until(lambda: not is_there(pid))
