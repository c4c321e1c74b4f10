"""The redo step: the configured analyst replaces the results of the fallback analyst.

The fallback analyst processes pages while the configured analyst (an LLM) is unavailable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.consolidation import Consolidator
    from memoryos.updating.learner import Learner

__all__ = ["Redoer"]


class Redoer:
    """Replaces results of the fallback analyst by results of the configured analyst.

    Args:
        store: The store.
        consolidator: Groups pages into chains and segments with the configured analyst.
        learner: Extracts facts with the configured analyst.
    """

    def __init__(self, store: Store, consolidator: Consolidator, learner: Learner) -> None:
        self._store = store
        self._consolidator = consolidator
        self._learner = learner

    def is_due(self, scope_id: str) -> bool:
        """Returns whether the scope has results of the fallback analyst."""
        return self._store.log.count_provisional(scope_id) > 0

    def take(self, lease: Lease, pages: int) -> bool:
        """Replaces one batch of the fallback analyst's results by results of the regular analyst.

        Replaces chains and segments first. When all of them are replaced, replaces facts.

        Args:
            lease: The lease on the scope.
            pages: Maximum number of pages that are assigned to new segments.

        Returns:
            False if the scope has no results of the fallback analyst.

        Raises:
            AnalystError: If the analyst failed again; the results of the fallback analyst are kept.
            StoreConflictError: If another worker took the lease; nothing was written.
        """
        placed = self._store.log.placed_provisionally(lease.scope_id, pages)
        if placed:
            self._consolidator.consolidate(lease, placed, redo=True)
            return True
        return self._learner.learn_again(lease)
