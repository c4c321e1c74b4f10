"""Words: BM25 over the utterances of one scope, extended as they arrive."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.arrays import GrowingArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["WordIndex"]

K1 = 1.2
"""How soon repeats of a word stop counting (Robertson and Zaragoza 2009)."""
B = 0.75
"""How far long utterances are held back (the same)."""


class WordIndex:
    """An inverted index over documents 0 … n-1, in the order in which they were added."""

    def __init__(self) -> None:
        self._documents: dict[str, array[int]] = {}
        self._counts: dict[str, array[float]] = {}
        self._lengths: GrowingArray[np.float32] = GrowingArray(np.float32)
        self._total_length = 0
        self._postings = 0

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def nbytes(self) -> int:
        """Estimated bytes of memory that it holds."""
        return self._lengths.nbytes + 8 * self._postings + 300 * len(self._documents)

    def add(self, documents: Iterable[Sequence[str]]) -> None:
        """Adds documents, each as its terms; an empty one takes a number too."""
        lengths = []
        first = len(self._lengths)
        for number, terms in enumerate(documents, first):
            lengths.append(len(terms))
            for term, count in Counter(terms).items():
                if term not in self._documents:
                    self._documents[term], self._counts[term] = array("i"), array("f")
                self._documents[term].append(number)
                self._counts[term].append(count)
                self._postings += 1
        self._total_length += sum(lengths)
        self._lengths.extend(lengths)

    def score(self, query: Iterable[str]) -> NDArray[np.float32]:
        """Returns ``float32[n]``: BM25 of each document for the distinct terms of a query; 0 without a common one."""
        scores = np.zeros(len(self), np.float32)
        if not self._total_length:
            return scores
        damping = np.float32(K1 * B * len(self) / self._total_length) * self._lengths.view + np.float32(K1 * (1 - B))
        for term in dict.fromkeys(query):
            if term in self._documents:
                documents = np.frombuffer(self._documents[term], np.intc)
                counts = np.frombuffer(self._counts[term], np.float32)
                rarity = math.log(1 + (len(self) - len(documents) + 0.5) / (len(documents) + 0.5))
                scores[documents] += np.float32(rarity * (K1 + 1)) * counts / (counts + damping[documents])
        return scores
