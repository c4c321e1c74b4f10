"""Vector quantisation: two bits per dimension, for scopes whose vectors exceed the memory limit.

Each dimension of a vector is centred, scaled and rounded to four levels. Each dimension of a query is rounded to 32
levels. The dot product then becomes a weighted sum of bit counts, which processors compute on 64 dimensions at a time.
This follows RaBitQ (Gao and Long 2024), without its rotation and with a second bit. A linear map turns these products
into cosines. It is fitted on a sample of the vectors, which is also stored as float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.arrays import GrowingArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CodeBook", "CodeSnapshot", "VectorCodes"]

_BITS = 2
_LEVEL_WIDTH = 1.0
"""Width of a level in standard deviations; 0.996 is optimal for four levels of a normal distribution (Max 1960)."""
_QUERY_BITS = 5
_WORD_BITS = 64
_SAMPLE_ROWS = 1_000
_BLOCK_ROWS = 8_192


class CodeBook:
    """Encodes vectors and estimates cosines from codes. It never changes after construction.

    Args:
        rows: ``float32[n, d]``, n > 0: the vectors that determine the mean and spread of each dimension. About 1,000
            of them are stored as the sample to which the estimates are fitted.
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.words_per_code = -(-rows.shape[1] // _WORD_BITS)
        self._mean = rows.mean(axis=0)
        self._spread = np.maximum(rows.std(axis=0), np.float32(1e-6))
        self._sample = rows[:: max(1, len(rows) // _SAMPLE_ROWS)].copy()
        self._sample_planes = self.encode(self._sample)

    @property
    def nbytes(self) -> int:
        """Bytes of the stored sample of vectors."""
        return int(self._sample.nbytes)

    def encode(self, rows: NDArray[np.float32]) -> list[NDArray[np.uint64]]:
        """Returns the codes of ``float32[n, d]`` as bit planes, lowest bit first: ``uint64[n, words]`` each."""
        levels = np.floor((rows - self._mean) / (self._spread * _LEVEL_WIDTH)) + 2 ** (_BITS - 1)
        clipped = np.clip(levels, 0, 2**_BITS - 1).astype(np.uint8)
        return [_pack_bits((clipped >> bit) & 1) for bit in range(_BITS)]

    def cosines(self, query: NDArray[np.float32], planes: Sequence[NDArray[np.uint64]]) -> NDArray[np.float32]:
        """Returns ``float32[n]``: the estimated cosine of a query and each of n codes.

        Args:
            query: ``float32[d]``, L2-normalised.
            planes: Bit planes of the codes, as from ``encode``.
        """
        weights = query * self._spread
        sample_products = _products(weights, self._sample_planes)
        slope, offset = _fit_line(sample_products, self._sample @ query)
        estimates = _products(weights, planes)
        estimates *= slope
        estimates += offset
        return estimates


class VectorCodes:
    """Codes of vectors, in the order in which they were added.

    Args:
        rows: ``float32[n, d]``, n > 0: the first vectors; the code book is made from them.
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._book = CodeBook(rows)
        self._planes = [GrowingArray[np.uint64](np.uint64, self._book.words_per_code) for _ in range(_BITS)]
        self.extend(rows)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._book.nbytes + sum(plane.nbytes for plane in self._planes)

    def extend(self, rows: NDArray[np.float32]) -> None:
        """Appends the codes of ``float32[n, d]``."""
        for start in range(0, len(rows), _BLOCK_ROWS):
            for plane, words in zip(self._planes, self._book.encode(rows[start : start + _BLOCK_ROWS]), strict=True):
                plane.extend(words)

    def snapshot(self) -> CodeSnapshot:
        """Returns the codes added so far. They share memory with this object and do not change."""
        return CodeSnapshot(self._book, tuple(plane.snapshot() for plane in self._planes))


@dataclass(frozen=True, slots=True)
class CodeSnapshot:
    """The codes of n vectors.

    Attributes:
        book: The code book that made them.
        planes: Bit planes, lowest bit first: ``uint64[n, words]`` each.
    """

    book: CodeBook
    planes: tuple[NDArray[np.uint64], ...]

    def __len__(self) -> int:
        return len(self.planes[0])

    def cosines(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns ``float32[n]``: the estimated cosine of a query, ``float32[d]``, and each vector."""
        return self.book.cosines(query, self.planes)


def _pack_bits(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Packs bits ``uint8[n, d]`` into words ``uint64[n, words]``; unused bits of the last word are 0."""
    missing = -bits.shape[-1] % _WORD_BITS
    padded = np.pad(bits, ((0, 0), (0, missing)))
    return np.packbits(padded, axis=-1).view(np.uint64)


def _products(weights: NDArray[np.float32], planes: Sequence[NDArray[np.uint64]]) -> NDArray[np.float32]:
    """Returns ``float32[n]``: for each code, the dot product of the weights and its levels.

    A factor and a constant that are the same for all codes are left out.
    """
    max_level = 2**_QUERY_BITS - 1
    scale = max_level / (2 * max(float(np.abs(weights).max()), 1e-12))
    levels = np.round(weights * scale + max_level / 2).astype(np.uint8)
    query_planes = [_pack_bits(((levels >> bit) & 1)[None, :])[0] for bit in range(_QUERY_BITS)]
    products = np.zeros(len(planes[0]), np.float32)
    for start in range(0, len(products), _BLOCK_ROWS):
        block = products[start : start + _BLOCK_ROWS]
        for bit, plane in enumerate(planes):
            columns = np.ascontiguousarray(plane[start : start + _BLOCK_ROWS].T)
            for query_bit, query_words in enumerate(query_planes):
                block += np.float32(2 ** (bit + query_bit)) * _count_bits(columns & query_words[:, None])
            block -= np.float32(2**bit * max_level / 2) * _count_bits(columns)
    return products


def _count_bits(columns: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Returns ``uint16[n]``: the number of set bits in each column of ``uint64[words, n]``."""
    return np.asarray(np.bitwise_count(columns).sum(axis=0, dtype=np.uint16))


def _fit_line(products: NDArray[np.float32], cosines: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Returns the slope and offset that give the products the mean and the standard deviation of the cosines.

    This is deliberately not a least-squares fit, which would shrink the spread of the estimates. Exact cosines of the
    best passages are later mixed with estimates, so both need the same spread (ADR 13).
    """
    spread = products.std()
    slope = cosines.std() / spread if spread > 0 else np.float32(0)
    return slope, cosines.mean() - slope * products.mean()
