"""A priority queue of scopes, ordered by the time at which each scope is due."""

from __future__ import annotations

import heapq
import itertools

__all__ = ["Schedule"]


class Schedule:
    """A heap that contains each scope at most once. Scopes with equal due times are first in, first out.

    Each operation takes O(log n). Postponing a scope does not change the heap at once: when the old entry reaches the
    top, it is replaced by an entry with the new time. So a scope has at most two entries in the heap.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._due_at: dict[str, float] = {}
        self._entry_at: dict[str, float] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._due_at)

    def add(self, scope_id: str, at: float) -> None:
        """Adds a scope with its due time. A scope that is already queued keeps its due time.

        Args:
            scope_id: Id of the scope.
            at: The due time in monotonic seconds.
        """
        if scope_id not in self._due_at:
            self.move(scope_id, at)

    def move(self, scope_id: str, at: float) -> None:
        """Sets the due time of a scope. Adds the scope if it is not queued.

        Args:
            scope_id: Id of the scope.
            at: The due time in monotonic seconds.
        """
        self._due_at[scope_id] = at
        entry_at = self._entry_at.get(scope_id)
        if entry_at is None or at < entry_at:
            self._push(scope_id, at)

    def next_at(self) -> float | None:
        """Returns the earliest due time in monotonic seconds; None if the queue is empty."""
        while self._heap:
            at, _, scope_id = self._heap[0]
            if at != self._entry_at.get(scope_id):
                heapq.heappop(self._heap)
            elif self._due_at[scope_id] != at:
                heapq.heappop(self._heap)
                self._push(scope_id, self._due_at[scope_id])
            else:
                return at
        return None

    def take(self) -> str:
        """Removes and returns the scope with the earliest due time.

        Raises:
            IndexError: If the queue is empty.
        """
        self.next_at()
        _, _, scope_id = heapq.heappop(self._heap)
        del self._due_at[scope_id], self._entry_at[scope_id]
        return scope_id

    def _push(self, scope_id: str, at: float) -> None:
        self._entry_at[scope_id] = at
        heapq.heappush(self._heap, (at, next(self._numbers), scope_id))
