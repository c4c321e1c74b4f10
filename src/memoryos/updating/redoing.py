"""The redo step: the configured analyst repeats the work that its fallback did while it was unavailable."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.consolidation import Consolidator
    from memoryos.updating.learner import Learner

__all__ = ["Redoer"]


class Redoer:
    """Consolidates and learns again from pages that the fallback analyst processed.

    Args:
        store: Pages and tiers.
        consolidator: Consolidates with the configured analyst.
        learner: Learns with the configured analyst.
    """

    def __init__(self, store: Store, consolidator: Consolidator, learner: Learner) -> None:
        self._store = store
        self._consolidator = consolidator
        self._learner = learner

    def is_due(self, scope_id: str) -> bool:
        """Returns whether the scope has results of the fallback analyst."""
        return self._store.log.count_provisional(scope_id) > 0

    def take(self, lease: Lease, pages: int) -> bool:
        """Redoes one digest or, if none is left, one lesson; returns False if neither is left.

        Args:
            lease: The scope's lease.
            pages: Maximum number of pages in the digest.

        Raises:
            AnalystError: If the analyst failed again; the fallback's results stay.
            StoreConflictError: If the lease was lost; nothing was written.
        """
        placed = self._store.log.placed_provisionally(lease.scope_id, pages)
        if placed:
            self._consolidator.consolidate(lease, placed, redo=True)
            return True
        return self._learner.learn_again(lease)
