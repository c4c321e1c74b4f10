"""Waiting for conditions: a test waits until something is so, never for a time that a busy machine may exceed."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PATIENCE_SECONDS", "wait_until"]

PATIENCE_SECONDS = 60.0
"""Limit for anything that is expected to happen, so that a test that hangs ends: far more than a busy machine needs."""
_POLL_SECONDS = 0.005


def wait_until(is_so: Callable[[], bool]) -> None:
    """Polls the condition until it holds; fails after the limit."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(_POLL_SECONDS)
