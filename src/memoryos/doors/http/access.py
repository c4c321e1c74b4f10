"""Decides whether requests need a key: always, never, or as soon as the store has had its first key."""

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

__all__ = ["SECONDS_BETWEEN_LOOKS", "AccessPolicy"]

SECONDS_BETWEEN_LOOKS = 0.5
"""How long "the store has no key" is believed before the store is read again."""


class AccessPolicy:
    """Whether a server requires keys.

    A store that has ever had a key stays closed: after its last key was revoked or expired, every request is refused
    until another key is made or the server is started with ``keys=False``.

    Args:
        engine: Returns the engine, whose store has the keys.
        settings: Those of the server.
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
        self._looked_at: float | None = None

    async def needs_keys(self) -> bool:
        """Returns whether a request needs a key now.

        Raises:
            StoreError: If the store has to be read for that and can't be.
        """
        if self._settings.needs_keys or self._has_keys:
            return True
        if self._settings.keys is False:
            return False
        async with self._lock:
            now = self._clock()
            if self._looked_at is None or now - self._looked_at > SECONDS_BETWEEN_LOOKS:
                self._has_keys = await anyio.to_thread.run_sync(partial(self._look), limiter=self._limiter)
                self._looked_at = now
        return self._has_keys

    def _look(self) -> bool:
        return self._engine().store.keys.any()
