"""Processes that keep the cores busy while the tests run: a test that passes only on an idle machine then fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["busy_processes"]

_LOOP = """
import os, sys
parent = int(sys.argv[1])
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""
"""Computes without a pause, at normal priority, until its parent is gone."""


@contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Starts that many busy processes; they end with the block, and if this process dies."""
    command = [sys.executable, "-S", "-c", _LOOP, str(os.getpid())]
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield running
    finally:
        for each in running:
            each.kill()
        for each in running:
            each.wait()
