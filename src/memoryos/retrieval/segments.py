"""The segments of a working set: their vectors as running means, their keywords, and which of them are active."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.arrays import GrowingArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SegmentShelf"]


class SegmentShelf:
    """Segments by a small number, in the order in which they were first seen.

    Vectors are sums of page vectors and so never go stale: the direction of the sum is that of the running mean, e_s of
    Eq. 3.
    """

    def __init__(self, dimensions: int) -> None:
        self.ids: list[str] = []
        self.keywords: list[frozenset[str]] = []
        self._numbers: dict[str, int] = {}
        self._sums: GrowingArray[np.float32] = GrowingArray(np.float32, dimensions)
        self._active: GrowingArray[np.bool_] = GrowingArray(np.bool_)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays, and an estimate of its keywords."""
        return self._sums.nbytes + self._active.nbytes + 64 * sum(map(len, self.keywords))

    @property
    def active(self) -> NDArray[np.bool_]:
        """``bool[segments]``: False for archived ones."""
        return self._active.view

    @property
    def directions(self) -> NDArray[np.float32]:
        """``float32[segments, dimensions]``, rows L2-normalised; zero while no page of the segment is embedded."""
        lengths = np.linalg.norm(self._sums.view, axis=1, keepdims=True)
        return np.asarray(self._sums.view / np.where(lengths > 0, lengths, 1), np.float32)

    def number(self, segment_id: str) -> int:
        """Returns the segment's number, giving it one if it is new."""
        if segment_id not in self._numbers:
            self._numbers[segment_id] = len(self.ids)
            self.ids.append(segment_id)
            self.keywords.append(frozenset())
            self._sums.extend(np.zeros((1, self._sums.view.shape[1]), np.float32))
            self._active.extend([True])
        return self._numbers[segment_id]

    def describe(self, segment_id: str, keywords: frozenset[str], *, archived: bool) -> int:
        """Notes a segment's keywords and whether it is archived; returns its number."""
        number = self.number(segment_id)
        self.keywords[number] = keywords
        self._active.view[number] = not archived
        return number

    @property
    def sums(self) -> NDArray[np.float32]:
        """``float32[segments, dimensions]``: sums of the vectors of their pages."""
        return self._sums.view

    def add_pages(self, numbers: NDArray[np.int32], vectors: NDArray[np.float32]) -> None:
        """Adds page vectors to their segments; pages with number -1 are passed over."""
        placed = numbers >= 0
        np.add.at(self._sums.view, numbers[placed], vectors[placed])

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
        """Returns ``bool[segments]``: True for the ``count`` active segments with the highest cosine to the vector."""
        cosines = np.where(self.active, self.directions @ vector, -np.inf)
        chosen = np.zeros(len(self), np.bool_)
        chosen[np.argsort(-cosines, kind="stable")[:count]] = True
        return chosen & self.active
