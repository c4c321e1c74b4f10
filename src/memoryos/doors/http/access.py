"""Decides whether requests require an API key.

Depending on the settings, they require a key always, never, or as soon as the store contains a key.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.doors.http.settings import ServerSettings
    from memoryos.engine import MemoryEngine

__all__ = ["CHECK_INTERVAL_SECONDS", "AccessPolicy"]

CHECK_INTERVAL_SECONDS = 0.5
"""Number of seconds for which the result "the store has no key" is cached."""


class AccessPolicy:
    """Decides whether requests require an API key.

    By default, requests require a key as soon as the store contains a key, even a revoked or expired one. If no key is
    valid, the server refuses every request. To change this, create a key or restart the server with ``keys=False``.

    Args:
        engine: Returns the engine, whose store contains the keys.
        settings: The server's settings.
        limiter: Limits the threads that read keys.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        engine: Callable[[], MemoryEngine],
        settings: ServerSettings,
        limiter: anyio.CapacityLimiter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._limiter = limiter
        self._clock = clock
        self._lock = anyio.Lock()
        self._has_keys = False
        self._checked_at: float | None = None

    async def needs_keys(self) -> bool:
        """Returns whether requests currently require a key.

        Raises:
            StoreError: If the store can't be read.
        """
        if self._settings.needs_keys or self._has_keys:
            return True
        if self._settings.keys is False:
            return False
        async with self._lock:
            now = self._clock()
            if self._checked_at is None or now - self._checked_at > CHECK_INTERVAL_SECONDS:
                self._has_keys = await anyio.to_thread.run_sync(partial(self._read), limiter=self._limiter)
                self._checked_at = now
        return self._has_keys

    def _read(self) -> bool:
        return self._engine().store.keys.any()
