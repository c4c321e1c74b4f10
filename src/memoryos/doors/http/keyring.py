"""Looks up API keys for a running server, with a short-lived cache of valid keys."""

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
"""How long a valid key is cached; after that a revocation by another process takes effect."""
_KEYS_CACHED = 4096
_THREADS = 4


class Keyring:
    """Finds keys by their text.

    Lookups have threads of their own, so that they never wait behind slow requests.

    Args:
        engine: Returns the engine, whose store has the keys and by whose clock they expire.
        clock: Returns monotonic seconds.
        limiter: Limits the threads that read keys; default: one of its own.
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
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    async def find(self, text: str) -> ApiKey | None:
        """Returns the valid key with that text; None if it is wrong, revoked or expired.

        A text that is not well-formed costs no lookup. Any other costs at most one, by primary key.

        Raises:
            StoreError: If the keys can't be read now.
        """
        key_id = key_id_of(text)
        if key_id is None:
            return None
        seen_at, key = self._known.get(key_id, (0.0, None))
        asked_at = self._clock()
        if key is None or asked_at - seen_at > SECONDS_CACHED:
            seen_at, key = asked_at, await anyio.to_thread.run_sync(partial(self._read, key_id), limiter=self.limiter)
        is_valid = key is not None and is_secret_of(key, text) and key.is_valid(self._engine().clock())
        self._keep(key_id, seen_at, key, is_valid=is_valid)
        return key if is_valid else None

    async def valid(self, key_ids: Iterable[str]) -> set[str]:
        """Returns which of these keys are valid now, read from the store.

        Raises:
            StoreError: If the keys can't be read now.
        """
        return await anyio.to_thread.run_sync(partial(self._read_valid, list(key_ids)), limiter=self.limiter)

    def _read(self, key_id: str) -> ApiKey | None:
        return self._engine().store.keys.find(key_id)

    def _read_valid(self, key_ids: list[str]) -> set[str]:
        engine = self._engine()
        now = engine.clock()
        return {key.key_id for key in engine.store.keys.get(key_ids) if key.is_valid(now)}

    def _keep(self, key_id: str, seen_at: float, key: ApiKey | None, *, is_valid: bool) -> None:
        """Caches valid keys only, so that guesses can't evict them."""
        if key is not None and is_valid:
            self._known[key_id] = (seen_at, key)
            self._known.move_to_end(key_id)
            if len(self._known) > _KEYS_CACHED:
                self._known.popitem(last=False)
        elif key is None or key.revoked_at is not None:
            self._known.pop(key_id, None)
