"""Looks up API keys for a running server. Valid keys are cached for half a second."""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from memoryos.storage.api_keys import is_secret_of, key_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from memoryos.engine import MemoryEngine
    from memoryos.storage.api_keys import ApiKey

__all__ = ["SECONDS_CACHED", "Keyring"]

SECONDS_CACHED = 0.5
"""How long a valid key is cached. A revocation by another process takes effect after at most this time."""
_KEYS_CACHED = 4096
"""Maximum number of cached keys. If the cache is full, the least recently used key is removed."""
_THREADS = 4


class Keyring:
    """Looks up API keys by their text.

    Lookups run in threads of their own. A lookup therefore never waits for a thread that serves a slow request.

    Args:
        engine: Returns the engine, whose store contains the keys and whose clock decides when they expire.
        clock: Returns monotonic seconds.
        limiter: Limits the threads that read keys; default: a new limiter.
    """

    def __init__(
        self,
        engine: Callable[[], MemoryEngine],
        clock: Callable[[], float] = time.monotonic,
        limiter: anyio.CapacityLimiter | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self.limiter = limiter or anyio.CapacityLimiter(_THREADS)
        self._cache: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    async def find(self, text: str) -> ApiKey | None:
        """Returns the valid key with this text; None if the key is wrong, revoked or expired.

        A text without the format of a key needs no database query. Any other text needs at most one query.

        Raises:
            StoreError: If the keys can't be read.
        """
        key_id = key_id_of(text)
        if key_id is None:
            return None
        read_at, key = self._cache.get(key_id, (0.0, None))
        now = self._clock()
        if key is None or now - read_at > SECONDS_CACHED:
            read_at, key = now, await anyio.to_thread.run_sync(partial(self._read, key_id), limiter=self.limiter)
        is_valid = key is not None and is_secret_of(key, text) and key.is_valid(self._engine().clock())
        self._update_cache(key_id, read_at, key, is_valid=is_valid)
        return key if is_valid else None

    async def valid(self, key_ids: Iterable[str]) -> set[str]:
        """Reads the keys with these ids from the store (not the cache), and returns the ids of the valid keys.

        Raises:
            StoreError: If the keys can't be read.
        """
        return await anyio.to_thread.run_sync(partial(self._read_valid, list(key_ids)), limiter=self.limiter)

    def _read(self, key_id: str) -> ApiKey | None:
        return self._engine().store.keys.find(key_id)

    def _read_valid(self, key_ids: list[str]) -> set[str]:
        engine = self._engine()
        now = engine.clock()
        return {key.key_id for key in engine.store.keys.get(key_ids) if key.is_valid(now)}

    def _update_cache(self, key_id: str, read_at: float, key: ApiKey | None, *, is_valid: bool) -> None:
        """Stores a valid key in the cache, and removes an invalid one. Guessed keys therefore can't fill the cache."""
        if key is not None and is_valid:
            self._cache[key_id] = (read_at, key)
            self._cache.move_to_end(key_id)
            if len(self._cache) > _KEYS_CACHED:
                self._cache.popitem(last=False)
        elif key is None or key.revoked_at is not None:
            self._cache.pop(key_id, None)
