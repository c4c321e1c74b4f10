"""Processes that keep the cores busy while the tests run, so that tests which depend on an idle machine fail."""

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
"""Script of a busy process: computes at normal priority until its parent process ends."""


@contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Starts ``count`` busy processes and yields them; they end with the block, or when this process ends."""
    command = [sys.executable, "-S", "-c", _LOOP, str(os.getpid())]
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield running
    finally:
        for each in running:
            each.kill()
        for each in running:
            each.wait()
