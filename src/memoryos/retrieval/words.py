"""Words: BM25 over the utterances of one scope, extended as they arrive."""

from __future__ import annotations

import math
from array import array
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
        self._postings_of: dict[str, tuple[array[int], array[float]]] = {}
        self._lengths: GrowingArray[np.float32] = GrowingArray(np.float32)
        self._total_length = 0
        self._postings = 0

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def nbytes(self) -> int:
        """Estimated bytes of memory that it holds."""
        return self._lengths.nbytes + 8 * self._postings + 300 * len(self._postings_of)

    def add(self, documents: Iterable[Sequence[str]]) -> None:
        """Adds documents, each as its terms; an empty one takes a number too."""
        lengths = []
        known = self._postings_of
        first = len(self._lengths)
        for number, terms in enumerate(documents, first):
            lengths.append(len(terms))
            counted: dict[str, int] = {}
            for term in terms:
                counted[term] = counted.get(term, 0) + 1
            self._postings += len(counted)
            for term, count in counted.items():
                found = known.get(term)
                if found is None:
                    found = known[term] = array("i"), array("f")
                found[0].append(number)
                found[1].append(count)
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
            if term in self._postings_of:
                numbers, repeats = self._postings_of[term]
                documents, counts = np.frombuffer(numbers, np.intc), np.frombuffer(repeats, np.float32)
                rarity = math.log(1 + (len(self) - len(documents) + 0.5) / (len(documents) + 0.5))
                rarity *= LITTLE_SHARE if term in little else 1
                scores[documents] += np.float32(rarity * (K1 + 1)) * counts / (counts + damping[documents])
        return scores
