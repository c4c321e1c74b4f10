"""Foreground activity: lets background work wait until no user's call uses the store."""

from __future__ import annotations

import time

__all__ = ["ForegroundActivity"]


class ForegroundActivity:
    """Records when a user's call last used the store. It can be used from several threads."""

    def __init__(self) -> None:
        self._last_at = 0.0

    def note(self) -> None:
        """Records that a user's call is using the store now."""
        self._last_at = time.monotonic()

    def quiet_seconds(self) -> float:
        """Returns the number of seconds since a user's call last used the store."""
        return time.monotonic() - self._last_at
