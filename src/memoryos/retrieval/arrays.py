"""Arrays that grow at their end, and helpers for arrays of groups and ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["GrowingArray", "concatenated_ranges", "run_starts", "sorted_distinct"]

Scalar = TypeVar("Scalar", bound=np.generic)
Integers = TypeVar("Integers", bound=np.signedinteger[Any])
_MIN_CAPACITY_ROWS = 64
_GROWTH_FACTOR = 1.5


class GrowingArray(Generic[Scalar]):
    """A numpy array with spare capacity at its end; appending costs amortised constant time.

    Arrays returned by ``snapshot`` never change, so other threads can read them while this array grows.

    Args:
        dtype: Type of an element.
        width: Length of a row; None for a one-dimensional array.
    """

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._row_shape = () if width is None else (width,)
        self._buffer: NDArray[Scalar] = np.zeros((0, *self._row_shape), dtype)
        self._length = 0
        self._is_shared = False  # whether the buffer must be copied before a row in it is overwritten

    def __len__(self) -> int:
        return self._length

    @property
    def view(self) -> NDArray[Scalar]:
        """The current rows, without a copy; valid until the next change."""
        return self._buffer[: self._length]

    def snapshot(self) -> NDArray[Scalar]:
        """Returns the current rows without copying them. Later changes do not affect the result."""
        self._is_shared = True
        return self.view

    @property
    def nbytes(self) -> int:
        """Bytes of the array, including its spare capacity."""
        return self._buffer.nbytes

    def extend(self, rows: Any) -> None:
        """Appends rows.

        If this array is empty, it uses the memory of ``rows`` instead of copying them. So the caller must not modify
        ``rows`` afterwards.
        """
        added = np.asarray(rows, self._buffer.dtype).reshape(-1, *self._row_shape)
        end = self._length + len(added)
        if not len(added):
            return
        if not self._length:
            self._buffer, self._length, self._is_shared = added, end, True
            return
        if end > len(self._buffer):
            capacity = max(int(end * _GROWTH_FACTOR), _MIN_CAPACITY_ROWS)
            buffer = np.zeros((capacity, *self._row_shape), self._buffer.dtype)
            buffer[: self._length] = self.view
            self._buffer, self._is_shared = buffer, False
        self._buffer[self._length : end] = added
        self._length = end

    def replace(self, indices: NDArray[np.integer[Any]], rows: NDArray[Scalar]) -> None:
        """Overwrites rows, in a copy of the array if a snapshot shares it (copy-on-write).

        Args:
            indices: ``int[k]``: which rows; each at most once.
            rows: Their new values, in the same order.
        """
        if len(indices):
            if self._is_shared:
                self._buffer, self._is_shared = self._buffer.copy(), False
            self._buffer[indices] = rows


def run_starts(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Returns the index at which each run of equal values begins.

    Example:
        ``[5, 5, 7, 9, 9]`` has three runs, which begin at ``[0, 2, 3]``.

    Args:
        values: ``int[n]``, not negative.
    """
    return np.flatnonzero(np.diff(values, prepend=values.dtype.type(-1)))


def sorted_distinct(values: NDArray[Integers]) -> NDArray[Integers]:
    """Returns the distinct values of an array, ascending.

    ``numpy.unique`` gives the same result, but its first call takes 12 ms, because it imports further modules.

    Args:
        values: ``int[n]``, not negative.
    """
    ordered = np.sort(values)
    return ordered[run_starts(ordered)]


def concatenated_ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the indices of several ranges in one array.

    Example:
        The starts ``[4, 0]`` and lengths ``[2, 3]`` give ``[4, 5, 0, 1, 2]``.

    Args:
        starts: ``int64[r]``: first index of each range.
        lengths: ``int64[r]``: length of each range.
    """
    begins = np.cumsum(lengths) - lengths  # position of each range in the result
    return np.asarray(np.arange(lengths.sum()) + np.repeat(starts - begins, lengths), np.int64)
