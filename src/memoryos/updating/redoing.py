"""The redo step: the configured analyst replaces the results of the fallback analyst.

The fallback analyst processes pages while the configured analyst (an LLM) is unavailable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.profiling import Profiler
    from memoryos.updating.reading import Reader

__all__ = ["Redoer"]


class Redoer:
    """Replaces results of the fallback analyst by results of the configured analyst.

    Args:
        store: The store.
        reader: Reads pages with the configured analyst.
        profiler: Infers traits with the configured analyst.
    """

    def __init__(self, store: Store, reader: Reader, profiler: Profiler) -> None:
        self._store = store
        self._reader = reader
        self._profiler = profiler

    def is_due(self, scope_id: str) -> bool:
        """Returns whether the scope has results of the fallback analyst."""
        return self._store.log.count_provisional(scope_id) > 0

    def take(self, lease: Lease, pages: int) -> bool:
        """Replaces one batch of the fallback analyst's results by results of the regular analyst.

        Replaces readings first. When all of them are replaced, replaces traits.

        Args:
            lease: The lease on the scope.
            pages: Maximum number of pages that are read again.

        Returns:
            False if the scope has no results of the fallback analyst.

        Raises:
            AnalystError: If the analyst failed again; the results of the fallback analyst are kept.
            StoreConflictError: If another worker took the lease; nothing was written.
        """
        batch = self._store.log.read_provisionally(lease.scope_id, pages)
        if batch:
            self._reader.read(lease, batch, redo=True)
            return True
        return self._profiler.profile_again(lease)
