"""A priority queue of scopes, ordered by the time at which each is due."""

from __future__ import annotations

import heapq
import itertools

__all__ = ["Schedule"]


class Schedule:
    """Holds each scope once. Adding and taking cost O(log n); scopes that are due at the same time keep their order.

    A time that moves later leaves the heap as it is: the entry is put back when it comes up too early. So a scope that
    is rescheduled again and again never has more than two entries.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        self._due_at: dict[str, float] = {}
        self._entry_at: dict[str, float] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._due_at)

    def add(self, scope_id: str, at: float) -> None:
        """Adds a scope that is due at a time (monotonic seconds); one that is there keeps its place."""
        if scope_id not in self._due_at:
            self.move(scope_id, at)

    def move(self, scope_id: str, at: float) -> None:
        """Sets when a scope is due, whether it was there or not."""
        self._due_at[scope_id] = at
        entry_at = self._entry_at.get(scope_id)
        if entry_at is None or at < entry_at:
            self._push(scope_id, at)

    def next_at(self) -> float | None:
        """Returns when the next scope is due; None without scopes."""
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
        """Removes and returns the scope that is due first.

        Raises:
            IndexError: If there is none.
        """
        self.next_at()
        _, _, scope_id = heapq.heappop(self._heap)
        del self._due_at[scope_id], self._entry_at[scope_id]
        return scope_id

    def _push(self, scope_id: str, at: float) -> None:
        self._entry_at[scope_id] = at
        heapq.heappush(self._heap, (at, next(self._numbers), scope_id))
