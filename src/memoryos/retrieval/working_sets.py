"""Working sets of many scopes: a cache with an upper bound in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from memoryos.retrieval.working_set import WorkingSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.retrieval.snapshot import ScopeSnapshot
    from memoryos.storage.store import Store

__all__ = ["WorkingSets"]


class WorkingSets:
    """An LRU cache of working sets. Above ``max_bytes`` it evicts the least recently used one.

    Args:
        store: The store from which the working sets are read.
        model: Name of the embedder whose vectors are read.
        dimensions: Length of its vectors.
        max_bytes: Memory limit for all working sets together. A working set that alone exceeds the limit contains
            compressed vectors.
        lasting_facts_only: Whether working sets contain only the lasting facts.
        clock: Returns the current time (aware, UTC), which determines the current facts.
    """

    def __init__(
        self,
        store: Store,
        model: str,
        dimensions: int,
        max_bytes: int,
        *,
        lasting_facts_only: bool = False,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._model = model
        self._dimensions = dimensions
        self._max_bytes = max_bytes
        self._lasting_facts_only = lasting_facts_only
        self._clock = clock
        self._lock = threading.Lock()
        self._sets: OrderedDict[str, WorkingSet] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._total_bytes = 0

    def get(self, scope_id: str) -> ScopeSnapshot:
        """Returns an up-to-date snapshot of a scope.

        Raises:
            StoreError: If the store can't be read.
        """
        with self._lock:
            working_set = self._sets.get(scope_id)
            if working_set is None:
                working_set = self._sets[scope_id] = self._new(scope_id)
            self._sets.move_to_end(scope_id)
        snapshot = working_set.refresh(self._clock())
        with self._lock:
            self._record_size(scope_id, snapshot.nbytes)
        return snapshot

    def drop(self, scope_id: str) -> None:
        """Removes the working set of a scope from memory; the next ``get`` reads the whole scope."""
        with self._lock:
            if self._sets.pop(scope_id, None) is not None:
                self._total_bytes -= self._sizes.pop(scope_id, 0)

    @property
    def count(self) -> int:
        """Number of scopes in memory."""
        with self._lock:
            return len(self._sets)

    @property
    def nbytes(self) -> int:
        """Estimated bytes of memory of all working sets."""
        with self._lock:
            return self._total_bytes

    def _new(self, scope_id: str) -> WorkingSet:
        return WorkingSet(
            self._store,
            scope_id,
            self._model,
            self._dimensions,
            self._max_bytes,
            lasting_facts_only=self._lasting_facts_only,
        )

    def _record_size(self, scope_id: str, size: int) -> None:
        """Stores the size of a working set and evicts others until the total is within the limit."""
        if scope_id not in self._sets:
            return
        self._total_bytes += size - self._sizes.get(scope_id, 0)
        self._sizes[scope_id] = size
        while self._total_bytes > self._max_bytes and len(self._sets) > 1:
            oldest, _ = self._sets.popitem(last=False)
            self._total_bytes -= self._sizes.pop(oldest, 0)
