"""An array that grows at its end, so that a working set is extended and not rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["GrowingArray"]

Scalar = TypeVar("Scalar", bound=np.generic)
_FIRST_ROWS = 64
_GROWTH = 1.5


class GrowingArray(Generic[Scalar]):
    """A numpy array with room at its end; appending costs amortised constant time.

    Args:
        dtype: Type of an element.
        width: Length of a row; None for a one-dimensional array.
    """

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._row_shape = () if width is None else (width,)
        self._room: NDArray[Scalar] = np.zeros((0, *self._row_shape), dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def view(self) -> NDArray[Scalar]:
        """The rows so far, without a copy: valid until the next ``extend``, later a view of old room."""
        return self._room[: self._length]

    @property
    def nbytes(self) -> int:
        """Bytes that it holds, the room at its end included."""
        return self._room.nbytes

    def extend(self, rows: Any) -> None:
        """Appends rows. An array that is the first to come is kept and not copied: whoever gave it leaves it alone."""
        added = np.asarray(rows, self._room.dtype).reshape(-1, *self._row_shape)
        end = self._length + len(added)
        if not len(added):
            return
        if not self._length:
            self._room = added
            self._length = end
            return
        if end > len(self._room):
            room = np.zeros((max(int(end * _GROWTH), _FIRST_ROWS), *self._row_shape), self._room.dtype)
            room[: self._length] = self.view
            self._room = room
        self._room[self._length : end] = added
        self._length = end
