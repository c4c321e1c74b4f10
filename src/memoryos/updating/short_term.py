"""Short-term memory: a view of the log's newest pages. Nothing is moved, so nothing can be lost in a move."""

from __future__ import annotations

__all__ = ["in_window", "last_slid_out"]


def last_slid_out(last_seq: int, capacity: int) -> int:
    """Returns the position of the newest page that slid out of the window; 0 if none did."""
    return max(0, last_seq - capacity)


def in_window(seq: int, last_seq: int, capacity: int) -> bool:
    """Returns whether a page is one of the newest ``capacity`` pages."""
    return last_slid_out(last_seq, capacity) < seq <= last_seq
