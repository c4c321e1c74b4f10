"""Meaning: the vectors of a scope's utterances, whole while there is room for them, as codes after that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.arrays import GrowingArray
from memoryos.retrieval.codes import VectorCodes
from memoryos.retrieval.ranking import Cosines

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MeaningIndex", "best_cosines", "directions"]


class MeaningIndex:
    """The vectors of utterances 0 … n-1, in their order; an utterance may have several windows, or none yet.

    Args:
        dimensions: Length of a vector.
    """

    def __init__(self, dimensions: int) -> None:
        self._rows: GrowingArray[np.float32] = GrowingArray(np.float32, dimensions)
        self._codes: VectorCodes | None = None
        self._owners: GrowingArray[np.int32] = GrowingArray(np.int32)

    @property
    def is_exact(self) -> bool:
        """Whether cosines are those of the vectors; else they are what is to be expected of their codes."""
        return self._codes is None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""
        return self._owners.nbytes + (self._rows if self._codes is None else self._codes).nbytes

    @property
    def owners(self) -> NDArray[np.int32]:
        """``int32[w]``: whose window each row is; ascending."""
        return self._owners.view

    @property
    def rows(self) -> NDArray[np.float32]:
        """``float32[w, d]``: the vectors; none unless ``is_exact``."""
        return self._rows.view

    @property
    def last_owner(self) -> int:
        """The last utterance with a vector; -1 without any."""
        return int(self._owners.view[-1]) if len(self._owners) else -1

    def add(self, owners: NDArray[np.int32], rows: NDArray[np.float32]) -> None:
        """Adds ``float32[w, d]``, rows L2-normalised, and the utterance of each, ascending."""
        self._owners.extend(owners)
        (self._rows if self._codes is None else self._codes).extend(rows)

    def shrink(self) -> None:
        """Keeps codes of the vectors from now on; without a vector there is nothing to shrink."""
        if self._codes is None and len(self._rows):
            self._codes = VectorCodes(self._rows.view)
            self._rows = GrowingArray(np.float32, self._rows.view.shape[1])

    def cosines(self, query: NDArray[np.float32], count: int) -> Cosines:
        """Returns the cosine of a query and each of the first ``count`` utterances, of its best window.

        Args:
            query: ``float32[d]``, L2-normalised.
            count: How many utterances there are.
        """
        values, known = np.zeros(count, np.float32), np.zeros(count, np.bool_)
        if len(self._owners):
            codes = self._codes
            rows = _products(self._rows.view, query) if codes is None else codes.cosines(query)
            said, best = _best_windows(self._owners.view, rows)
            values[said], known[said] = best, True
        return Cosines(values, known)


def best_cosines(
    owners: NDArray[np.int32], rows: NDArray[np.float32], query: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns each owner once, and the best cosine of the query and its windows.

    Args:
        owners: ``int32[w]``: whose window it is; ascending.
        rows: ``float32[w, d]``, L2-normalised.
        query: ``float32[d]``, L2-normalised.
    """
    return _best_windows(owners, _products(rows, query))


def directions(owners: NDArray[np.int32], rows: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns each owner once, and the direction of the sum of its rows, L2-normalised.

    Args:
        owners: ``int32[w]``: whose row it is; ascending.
        rows: ``float32[w, d]``.
    """
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    sums = np.add.reduceat(rows, starts, axis=0)
    lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums))
    sums /= np.where(lengths > 0, lengths, 1)[:, None]
    return owners[starts], sums


def _products(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    # Not ``@``: the threads of BLAS spin for 0.4 ms less on a quiet machine and for 3 ms more on a busy one.
    return np.asarray(np.einsum("ij,j->i", rows, query))


def _best_windows(
    owners: NDArray[np.int32], cosines: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns each owner once, and the best cosine of its windows."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return owners[starts], cosines if len(starts) == len(cosines) else np.maximum.reduceat(cosines, starts)
