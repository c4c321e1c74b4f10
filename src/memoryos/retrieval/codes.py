"""Codes: vectors in two bits a dimension, for scopes whose vectors would not fit; and what they say about cosines.

Each dimension is centred, scaled and cut into four levels; a query is cut into 32. Their product is then a sum of bits
that both have, which processors count sixty-four at a time: after Gao and Long 2024 (RaBitQ), without its rotation and
with a second bit. How the product stands to the cosine is learned from a sample of whole vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.arrays import GrowingArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VectorCodes"]

_BITS = 2
_STEP = 1.0
"""Width of a level in standard deviations; 0.996 is best for four levels of a normal distribution (Max 1960)."""
_QUERY_BITS = 5
_WORD_BITS = 64
_SAMPLE_ROWS = 1_000
_PART_ROWS = 8_192


class VectorCodes:
    """Codes of vectors, in the order in which they were added.

    Args:
        rows: ``float32[n, d]``, n > 0: the first vectors. What is usual is read off them.
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._dimensions = rows.shape[1]
        self._middle = rows.mean(axis=0)
        self._spread = np.maximum(rows.std(axis=0), np.float32(1e-6))
        words = -(-self._dimensions // _WORD_BITS)
        self._planes = [GrowingArray[np.uint64](np.uint64, words) for _ in range(_BITS)]
        self._sample = rows[:: max(1, len(rows) // _SAMPLE_ROWS)].copy()
        self._sample_planes = self._encoded(self._sample)
        self.extend(rows)

    def __len__(self) -> int:
        return len(self._planes[0])

    @property
    def nbytes(self) -> int:
        """Bytes of memory that they take."""
        return int(self._sample.nbytes) + sum(plane.nbytes for plane in self._planes)

    def extend(self, rows: NDArray[np.float32]) -> None:
        """Adds the codes of ``float32[n, d]``."""
        for start in range(0, len(rows), _PART_ROWS):
            for plane, words in zip(self._planes, self._encoded(rows[start : start + _PART_ROWS]), strict=True):
                plane.extend(words)

    def cosines(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns ``float32[n]``: an estimate of the cosine of each vector, from its code."""
        weights = query * self._spread
        seen = _products(weights, self._sample_planes)
        slope, base = _line(seen, self._sample @ query)
        found = _products(weights, [plane.view for plane in self._planes])
        found *= slope
        found += base
        return found

    def _encoded(self, rows: NDArray[np.float32]) -> list[NDArray[np.uint64]]:
        levels = np.floor((rows - self._middle) / (self._spread * _STEP)) + 2 ** (_BITS - 1)
        cut = np.clip(levels, 0, 2**_BITS - 1).astype(np.uint8)
        return [_packed((cut >> place) & 1) for place in range(_BITS)]


def _packed(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Returns ``uint64[n, words]`` of ``uint8[n, d]`` bits; what is left of the last word is 0."""
    missing = -bits.shape[-1] % _WORD_BITS
    padded = np.pad(bits, ((0, 0), (0, missing)))
    return np.packbits(padded, axis=-1).view(np.uint64)


def _products(weights: NDArray[np.float32], planes: list[NDArray[np.uint64]]) -> NDArray[np.float32]:
    """Returns ``float32[n]``: for each code the sum of weight times level, up to a factor and a constant."""
    most = 2**_QUERY_BITS - 1
    scale = most / (2 * max(float(np.abs(weights).max()), 1e-12))
    cut = np.round(weights * scale + most / 2).astype(np.uint8)
    bits = [_packed(((cut >> place) & 1)[None, :])[0] for place in range(_QUERY_BITS)]
    products = np.zeros(len(planes[0]), np.float32)
    for start in range(0, len(products), _PART_ROWS):
        part = products[start : start + _PART_ROWS]
        for place, plane in enumerate(planes):
            columns = np.ascontiguousarray(plane[start : start + _PART_ROWS].T)
            for query_place, query_words in enumerate(bits):
                part += np.float32(2 ** (place + query_place)) * _count_bits(columns & query_words[:, None])
            part -= np.float32(2**place * most / 2) * _count_bits(columns)
    return products


def _count_bits(columns: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Returns ``uint16[n]``: how many bits are set in each column of ``uint64[words, n]``."""
    return np.asarray(np.bitwise_count(columns).sum(axis=0, dtype=np.uint16))


def _line(seen: NDArray[np.float32], wanted: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Returns slope and base of the line that gives what is seen the mean and the spread of what is wanted.

    Not the line of least squares: it would draw all cosines together, and the ranking goes by how far they are apart.
    """
    spread = seen.std()
    slope = wanted.std() / spread if spread > 0 else np.float32(0)
    return slope, wanted.mean() - slope * seen.mean()
