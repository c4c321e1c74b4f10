"""Time in tests: polls for a condition instead of sleeping for a fixed time, and measures CPU time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

__all__ = ["TIMEOUT_SECONDS", "cpu_seconds", "slowdown", "wait_until"]

TIMEOUT_SECONDS = 60.0
"""Timeout for expected events; long enough for a busy machine."""
_POLL_SECONDS = 0.005
_SPIN_SECONDS = 0.1


def wait_until(condition: Callable[[], bool]) -> None:
    """Polls the condition until it is true.

    Raises:
        AssertionError: After ``TIMEOUT_SECONDS``.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(_POLL_SECONDS)


def slowdown() -> float:
    """Returns elapsed time ÷ processor time of a computation: 1 on an idle machine, more on a busy one.

    Multiply a time limit by it to make a test tolerate a busy machine.
    """
    started, busy = time.perf_counter(), time.thread_time()
    while (used := time.thread_time() - busy) < _SPIN_SECONDS:
        pass
    return max(1.0, (time.perf_counter() - started) / used)


def cpu_seconds(function: Callable[[], object], *, runs: int = 3) -> float:
    """Returns the lowest CPU time of several runs of the function in this thread, without garbage collections.

    A full collection visits the objects of all earlier tests of the process, which can take longer than the function.
    """
    taken: list[float] = []
    enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(runs):
            started = time.thread_time()
            function()
            taken.append(time.thread_time() - started)
    finally:
        if enabled:
            gc.enable()
    return min(taken)
