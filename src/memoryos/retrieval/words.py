"""Words: BM25 over the utterances of one scope, extended as they arrive."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.arrays import GrowingArray

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["WordIndex"]

K1 = 1.2
"""How soon repeats of a word stop counting (Robertson and Zaragoza 2009)."""
B = 0.75
"""How far long utterances are held back (the same)."""
LITTLE_SHARE = 0.5
"""What a little word of a question counts: rare in what people tell, "when" and "which" would pass for its topic."""


class WordIndex:
    """An inverted index over documents 0 … n-1, in the order in which they were added."""

    def __init__(self) -> None:
        self._numbers_of: defaultdict[str, array[int]] = defaultdict(_no_numbers)
        self._lengths: GrowingArray[np.float32] = GrowingArray(np.float32)
        self._total_length = 0

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def nbytes(self) -> int:
        """Estimated bytes of memory that it holds."""
        return self._lengths.nbytes + 4 * self._total_length + 200 * len(self._numbers_of)

    def add(self, documents: Iterable[Sequence[str]]) -> None:
        """Adds documents, each as its terms; an empty one takes a number too."""
        lengths = []
        numbers_of = self._numbers_of
        for number, terms in enumerate(documents, len(self)):
            lengths.append(len(terms))
            for term in terms:
                numbers_of[term].append(number)
        self._total_length += sum(lengths)
        self._lengths.extend(lengths)

    def score(self, query: Iterable[str], *, little: Container[str] = ()) -> NDArray[np.float32]:
        """Returns ``float32[n]``: BM25 of each document for the distinct terms of a query; 0 without a common one.

        Args:
            query: The terms.
            little: Those that carry no topic of their own; they count half.
        """
        scores = np.zeros(len(self), np.float32)
        if not self._total_length:
            return scores
        damping = np.float32(K1 * B * len(self) / self._total_length) * self._lengths.view + np.float32(K1 * (1 - B))
        for term in dict.fromkeys(query):
            if term in self._numbers_of:
                documents, counts = _counted(self._numbers_of[term])
                rarity = math.log(1 + (len(self) - len(documents) + 0.5) / (len(documents) + 0.5))
                rarity *= LITTLE_SHARE if term in little else 1
                scores[documents] += np.float32(rarity * (K1 + 1)) * counts / (counts + damping[documents])
        return scores


def _no_numbers() -> array[int]:
    return array("i")


def _counted(numbers: array[int]) -> tuple[NDArray[np.intc], NDArray[np.float32]]:
    """Returns the documents of a term, and how often it stands in each: its number is there once for each time."""
    places = np.frombuffer(numbers, np.intc)
    starts = np.flatnonzero(np.diff(places, prepend=np.intc(-1)))
    return places[starts], np.diff(starts, append=len(places)).astype(np.float32)
