"""The step that redoes: what a stand-in read while the analyst was away, the analyst reads itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memoryos.storage.scopes import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.consolidation import Consolidator
    from memoryos.updating.learner import Learner

__all__ = ["Redoer"]


class Redoer:
    """Gives pages that a stand-in placed new places, and learns anew from pages that it learned from.

    Args:
        store: Where everything is kept.
        consolidator: Consolidates by the analyst itself.
        learner: Learns by the analyst itself.
    """

    def __init__(self, store: Store, consolidator: Consolidator, learner: Learner) -> None:
        self._store = store
        self._consolidator = consolidator
        self._learner = learner

    def is_due(self, scope_id: str) -> bool:
        """Returns whether anything of a stand-in's is left to redo."""
        return self._store.log.count_provisional(scope_id) > 0

    def take(self, lease: Lease, pages: int) -> bool:
        """Redoes one digest of at most so many pages, or else one lesson; False if there is neither.

        Raises:
            AnalystError: If the analyst is still away; what the stand-in wrote stays.
            StoreConflictError: If the lease was lost meanwhile; nothing is written then.
        """
        placed = self._store.log.placed_provisionally(lease.scope_id, pages)
        if placed:
            self._consolidator.consolidate(lease, placed, redo=True)
            return True
        return self._learner.learn_again(lease)
