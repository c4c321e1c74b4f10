"""Shortens the pauses in which the server process answers no request."""

from __future__ import annotations

import gc
import sys

__all__ = ["SWITCH_INTERVAL_SECONDS", "exclude_from_collection", "shorten_thread_turns"]

SWITCH_INTERVAL_SECONDS = 0.0005
"""Time after which a thread that runs Python code releases the GIL if another thread waits for it.

Python's default is 5 ms. A request needs the GIL several times. Each time, it waits until every busy thread (for
example an import or the worker) has used the GIL for this interval. The shorter interval reduces the throughput by a
few per cent.
"""


def shorten_thread_turns() -> None:
    """Sets Python's thread switch interval for this process to ``SWITCH_INTERVAL_SECONDS``."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)


def exclude_from_collection() -> None:
    """Excludes all objects that exist now from garbage collection.

    A full collection visits every object, and all threads wait for it. After the start of the server, it would take
    0.12 s. Most objects that exist then (modules, routes, patterns and word tables) live as long as the process, so
    visiting them has no use. Call this function once, when the server is ready.
    """
    gc.collect()
    gc.freeze()
