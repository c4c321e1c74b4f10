"""The keys of a store as a running server asks for them, without a look into the database for every request."""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from memoryos.storage.keys import is_secret_of, key_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.engine import MemoryEngine
    from memoryos.storage.keys import ApiKey

__all__ = ["SECONDS_CACHED", "Keyring"]

SECONDS_CACHED = 0.5
"""How long a key is taken for what it was: after that a revocation in another process takes effect."""
_KEYS_CACHED = 4096


class Keyring:
    """Finds keys; each is read again when what is known of it is half a second old.

    Args:
        engine: Returns the engine, whose store has the keys and by whose clock they expire.
        clock: Returns seconds that never go back.
    """

    def __init__(self, engine: Callable[[], MemoryEngine], clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    def is_known(self, text: str) -> bool:
        """Returns whether this is a key that opened something lately; asks no database."""
        entry = self._known.get(key_id_of(text) or "")
        return entry is not None and is_secret_of(entry[1], text)

    async def find(self, text: str) -> ApiKey | None:
        """Returns the valid key of that text, None if it is none: wrong, revoked or expired.

        Raises:
            StoreError: If the keys can't be read now.
        """
        key_id = key_id_of(text)
        if key_id is None:
            return None
        seen_at, key = self._known.get(key_id, (0.0, None))
        asked_at = self._clock()
        if key is None or asked_at - seen_at > SECONDS_CACHED:
            seen_at, key = asked_at, await anyio.to_thread.run_sync(partial(self._read, key_id))
        is_valid = key is not None and is_secret_of(key, text) and key.is_valid(self._engine().clock())
        self._keep(key_id, seen_at, key, is_valid=is_valid)
        return key if is_valid else None

    def _read(self, key_id: str) -> ApiKey | None:
        return self._engine().store.keys.find(key_id)

    def _keep(self, key_id: str, seen_at: float, key: ApiKey | None, *, is_valid: bool) -> None:
        """Keeps what opened something; a guess neither comes in nor pushes anything out."""
        if key is not None and is_valid:
            self._known[key_id] = (seen_at, key)
            self._known.move_to_end(key_id)
            if len(self._known) > _KEYS_CACHED:
                self._known.popitem(last=False)
        elif key is None or key.revoked_at is not None:
            self._known.pop(key_id, None)
