"""Time in tests: a test waits for a condition, never for a time that a busy machine may exceed."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["TIMEOUT_SECONDS", "slowdown", "wait_until"]

TIMEOUT_SECONDS = 60.0
"""Limit for anything that is expected to happen, so that a test that hangs ends: far more than a busy machine needs."""
_POLL_SECONDS = 0.005
_SPIN_SECONDS = 0.1


def wait_until(is_so: Callable[[], bool]) -> None:
    """Polls the condition until it holds; fails after the limit."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(_POLL_SECONDS)


def slowdown() -> float:
    """Returns the elapsed time per processor time of a computation: 1 on an idle machine, more on a busy one.

    A limit in seconds, multiplied by it, is as strict on an idle machine as without it.
    """
    started, busy = time.perf_counter(), time.thread_time()
    while (used := time.thread_time() - busy) < _SPIN_SECONDS:
        pass
    return max(1.0, (time.perf_counter() - started) / used)
