"""A priority queue of scopes, ordered by due time."""

from __future__ import annotations

import heapq
import itertools

__all__ = ["Schedule"]


class Schedule:
    """A heap that contains each scope once, in O(log n) per operation; equal due times are first in, first out.

    Postponing a scope does not change the heap: the old entry is pushed again with the new time when it comes up. So a
    scope that is rescheduled often has at most two entries.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._due_at: dict[str, float] = {}
        self._entry_at: dict[str, float] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._due_at)

    def add(self, scope_id: str, at: float) -> None:
        """Adds a scope that is due at a time (monotonic seconds); a scope that is queued already keeps its time."""
        if scope_id not in self._due_at:
            self.move(scope_id, at)

    def move(self, scope_id: str, at: float) -> None:
        """Sets the due time (monotonic seconds) of a scope; adds the scope if it is not queued."""
        self._due_at[scope_id] = at
        entry_at = self._entry_at.get(scope_id)
        if entry_at is None or at < entry_at:
            self._push(scope_id, at)

    def next_at(self) -> float | None:
        """Returns the earliest due time (monotonic seconds); None if the queue is empty."""
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
