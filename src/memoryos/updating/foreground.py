"""Foreground activity: background work waits for a pause in the calls of users."""

from __future__ import annotations

import time

__all__ = ["ForegroundActivity"]


class ForegroundActivity:
    """Records when a call of a user last used the store. Safe to use from several threads."""

    def __init__(self) -> None:
        self._last_at = 0.0

    def note(self) -> None:
        """Records that the foreground uses the store now."""
        self._last_at = time.monotonic()

    def quiet_seconds(self) -> float:
        """Returns the seconds since the foreground last used the store."""
        return time.monotonic() - self._last_at
