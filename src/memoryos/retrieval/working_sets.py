"""The working sets of many scopes, as many as there is room for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from memoryos.retrieval.working_set import WorkingSet

if TYPE_CHECKING:
    from memoryos.storage.store import Store

__all__ = ["WorkingSets"]


class WorkingSets:
    """The working sets of many scopes, bounded in bytes: those used longest ago give way.

    Args:
        store: Where they are read from.
        model: Name of the embedder whose vectors they hold.
        dimensions: Length of its vectors.
        max_bytes: What they may hold together; one that alone would hold more keeps codes of its vectors.
    """

    def __init__(self, store: Store, model: str, dimensions: int, max_bytes: int) -> None:
        self._store = store
        self._model = model
        self._dimensions = dimensions
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sets: OrderedDict[str, WorkingSet] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._total = 0

    def get(self, scope_id: str) -> WorkingSet:
        """Returns the scope's working set as of now."""
        with self._lock:
            found = self._sets.get(scope_id)
            if found is None:
                found = self._sets[scope_id] = self._new(scope_id)
            self._sets.move_to_end(scope_id)
        found.refresh()
        with self._lock:
            self._weigh(scope_id, found.nbytes)
        return found

    def drop(self, scope_id: str) -> None:
        """Lets go of a scope's working set; the next use reads it anew."""
        with self._lock:
            if self._sets.pop(scope_id, None) is not None:
                self._total -= self._sizes.pop(scope_id, 0)

    @property
    def count(self) -> int:
        """How many scopes have one in memory."""
        with self._lock:
            return len(self._sets)

    @property
    def nbytes(self) -> int:
        """Estimated bytes of memory that they hold together."""
        with self._lock:
            return self._total

    def _new(self, scope_id: str) -> WorkingSet:
        return WorkingSet(self._store, scope_id, self._model, self._dimensions, self._max_bytes)

    def _weigh(self, scope_id: str, size: int) -> None:
        if scope_id not in self._sets:
            return
        self._total += size - self._sizes.get(scope_id, 0)
        self._sizes[scope_id] = size
        while self._total > self._max_bytes and len(self._sets) > 1:
            oldest, _ = self._sets.popitem(last=False)
            self._total -= self._sizes.pop(oldest, 0)
