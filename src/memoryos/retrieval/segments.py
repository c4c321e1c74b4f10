"""The segments of a scope in memory: vectors as running means, keywords, and which segments are active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.arrays import GrowingArray, sorted_distinct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.storage.mid_term_table import SegmentChange

__all__ = ["SegmentIndex", "SegmentSnapshot"]


class SegmentIndex:
    """Segments numbered from 0, in the order in which they were first seen.

    The vector of a segment is stored as the sum of its pages' vectors. The direction of this sum equals that of the
    running mean (e_s of Eq. 3). Adding the vector of a new page to the sum needs no earlier vectors.

    Args:
        dimensions: Length of a vector.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._ids: list[str] = []
        self._keywords: list[frozenset[str]] = []
        self._numbers: dict[str, int] = {}
        self._sums: GrowingArray[np.float32] = GrowingArray(np.float32, dimensions)
        self._active: GrowingArray[np.bool_] = GrowingArray(np.bool_)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays plus an estimate for the keywords."""
        return self._sums.nbytes + self._active.nbytes + 64 * sum(map(len, self._keywords))

    def number(self, segment_id: str) -> int:
        """Returns the number of a segment; assigns the next one to a new segment."""
        if segment_id not in self._numbers:
            self._numbers[segment_id] = len(self._ids)
            self._ids.append(segment_id)
            self._keywords.append(frozenset())
            self._sums.extend(np.zeros((1, self._dimensions), np.float32))
            self._active.extend([True])
        return self._numbers[segment_id]

    def update(self, changes: Sequence[SegmentChange]) -> None:
        """Stores the keywords and the archived state of changed segments."""
        numbers = [self.number(change.segment_id) for change in changes]
        for number, change in zip(numbers, changes, strict=True):
            self._keywords[number] = change.keywords
        self._active.replace(np.array(numbers, np.int64), np.array([not each.archived for each in changes], np.bool_))

    def add_pages(self, numbers: NDArray[np.int32], vectors: NDArray[np.float32]) -> None:
        """Adds page vectors to their segments.

        Args:
            numbers: ``int32[k]``: the segment number of each page; pages with -1 are ignored.
            vectors: ``float32[k, dimensions]``: the vector of each page.
        """
        is_assigned = numbers >= 0
        assigned = numbers[is_assigned]
        changed = sorted_distinct(assigned)
        sums = self._sums.view[changed]
        np.add.at(sums, np.searchsorted(changed, assigned), vectors[is_assigned])
        self._sums.replace(changed, sums)

    def snapshot(self) -> SegmentSnapshot:
        """Returns the segments as they are now. The result shares memory with this index and does not change."""
        return SegmentSnapshot(tuple(self._ids), tuple(self._keywords), self._active.snapshot(), self._sums.snapshot())


@dataclass(frozen=True, slots=True)
class SegmentSnapshot:
    """The segments of a scope at one moment, active and archived, by number.

    Attributes:
        ids: Their ids.
        keywords: The keywords of each.
        active: ``bool[segments]``: False for archived segments.
        sums: ``float32[segments, dimensions]``: the sum of the vectors of each segment's pages.
    """

    ids: tuple[str, ...]
    keywords: tuple[frozenset[str], ...]
    active: NDArray[np.bool_]
    sums: NDArray[np.float32]

    @property
    def directions(self) -> NDArray[np.float32]:
        """The direction of each segment's vector: ``float32[segments, dimensions]``, rows L2-normalised.

        The row of a segment is zero until one of its pages has a vector.
        """
        lengths = np.linalg.norm(self.sums, axis=1, keepdims=True)
        return np.asarray(self.sums / np.where(lengths > 0, lengths, 1), np.float32)

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
        """Returns ``bool[segments]``: True for the ``count`` active segments with the highest cosine to the vector."""
        cosines = np.where(self.active, self.directions @ vector, -np.inf)
        chosen = np.zeros(len(self.ids), np.bool_)
        chosen[np.argsort(-cosines, kind="stable")[:count]] = True
        return chosen & self.active
