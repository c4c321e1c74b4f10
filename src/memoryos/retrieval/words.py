"""Searches texts by words: a BM25 index of the utterances of one memory, to which new utterances can be added."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.retrieval.arrays import GrowingArray, run_starts

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["WordIndex", "WordSnapshot"]

K1 = 1.2
"""BM25 term saturation: a lower value makes repeats of a term count less (Robertson and Zaragoza 2009)."""
B = 0.75
"""BM25 length normalisation: 0 ignores document length, 1 normalises fully (Robertson and Zaragoza 2009)."""
LITTLE_SHARE = 0.5
"""Weight of function words of the query, such as "when". BM25 overrates them, because they are rare in statements."""


class WordIndex:
    """An inverted index of documents. They are numbered from 0 in the order in which they are added."""

    def __init__(self) -> None:
        self._postings: defaultdict[str, array[int]] = defaultdict(_empty_postings)
        self._lengths: GrowingArray[np.float32] = GrowingArray(np.float32)
        self._total_length = 0

    @property
    def nbytes(self) -> int:
        """Estimated memory use in bytes."""
        return self._lengths.nbytes + 4 * self._total_length + 200 * len(self._postings)

    def add(self, documents: Iterable[Sequence[str]]) -> None:
        """Adds documents. A document is the list of its terms; it may be empty."""
        lengths = []
        postings = self._postings
        for number, terms in enumerate(documents, len(self._lengths)):
            lengths.append(len(terms))
            for term in terms:
                postings[term].append(number)
        self._total_length += sum(lengths)
        self._lengths.extend(lengths)

    def snapshot(self) -> WordSnapshot:
        """Returns a read-only index of the documents that were added so far. It shares memory with this index."""
        return WordSnapshot(self._postings, self._lengths.snapshot(), self._total_length)


@dataclass(frozen=True, slots=True)
class WordSnapshot:
    """A read-only index of the first n documents of a ``WordIndex``. Other threads may add documents meanwhile.

    Attributes:
        postings: Numbers of the documents that contain a term, ascending, by term. A number occurs once for each
            occurrence of the term. The lists are shared with the growing index, so they may also contain later
            documents, with numbers from n on.
        lengths: ``float32[n]``: number of terms of each document.
        total_length: Sum of ``lengths``.
    """

    postings: Mapping[str, array[int]]
    lengths: NDArray[np.float32]
    total_length: int

    def __len__(self) -> int:
        return len(self.lengths)

    def score(
        self, query: Iterable[str], *, little: Container[str] = (), starts: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Returns the BM25 score of each document for the distinct terms of a query; 0 for those without any of them.

        Args:
            query: The terms of the query.
            little: Those terms of the query that have half weight, because they are function words.
            starts: ``int64[g]``: first document of each group of neighbouring documents. Each group is then scored as
                one document, and the result is ``float32[g]``. Default: one score for each document, ``float32[n]``.
        """
        lengths = self.lengths if starts is None else np.add.reduceat(self.lengths, starts)
        count = len(lengths)
        scores = np.zeros(count, np.float32)
        if not self.total_length:
            return scores
        damping = np.float32(K1 * B * count / self.total_length) * lengths + np.float32(K1 * (1 - B))
        for term in dict.fromkeys(query):
            documents, counts = self._occurrences(term, starts)
            if len(documents):
                rarity = math.log(1 + (count - len(documents) + 0.5) / (len(documents) + 0.5))
                rarity *= LITTLE_SHARE if term in little else 1
                scores[documents] += np.float32(rarity * (K1 + 1)) * counts / (counts + damping[documents])
        return scores

    def _occurrences(
        self, term: str, starts: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.integer[Any]], NDArray[np.float32]]:
        """Returns the numbers of the documents that contain a term, ascending, and how often each contains it.

        If ``starts`` is given, counts groups of documents instead, as in ``score``.
        """
        postings = self.postings.get(term, _NO_POSTINGS)
        # Copied, because an ``array`` can't grow while numpy uses its memory.
        numbers: NDArray[np.integer[Any]] = np.frombuffer(postings[:], np.intc)
        numbers = numbers[: numbers.searchsorted(len(self))]
        if starts is not None:
            numbers = starts.searchsorted(numbers, side="right") - 1
        runs = run_starts(numbers)
        return numbers[runs], np.diff(runs, append=len(numbers)).astype(np.float32)


def _empty_postings() -> array[int]:
    return array("i")


_NO_POSTINGS = _empty_postings()
