"""Finds the known facts that an analyst is shown with a batch of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memoryos.language.text import search_terms
from memoryos.seams import MAX_RELATED_FACTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.model import Knowledge, Page
    from memoryos.retrieval.snapshot import LongTermSnapshot

__all__ = ["MAX_SLOTS_SHOWN", "related_facts", "slot_facts"]

MAX_SLOTS_SHOWN = 40
"""Maximum number of current facts with a slot that an analyst is shown; the newest."""
CHARACTERS_COMPARED = 4_000
"""Number of characters of each text of a page whose words are compared with the facts."""
MIN_COSINE = 0.3
"""Minimum cosine between a page and a fact that is related by meaning."""


def slot_facts(long_term: LongTermSnapshot) -> tuple[Knowledge, ...]:
    """Returns the newest current facts with a slot, oldest first."""
    return tuple(each for each in long_term.knowledge if each.slot is not None)[-MAX_SLOTS_SHOWN:]


def related_facts(
    long_term: LongTermSnapshot, pages: Sequence[Page], vectors: NDArray[np.float32]
) -> tuple[Knowledge, ...]:
    """Returns the current facts without a slot that are related to pages by meaning or words, oldest first.

    Half of them have the highest cosine to one of the pages. The others have the highest BM25 score for the words of
    the pages.

    Args:
        long_term: The current facts.
        pages: The pages.
        vectors: ``float32[len(pages), dimensions]``: the vectors of the pages, L2-normalised or zero.
    """
    entries = long_term.knowledge
    candidates = np.array([each.slot is None for each in entries], np.bool_)
    if not candidates.any():
        return ()
    cosines = (long_term.vectors @ vectors.T).max(axis=1)
    words = long_term.words.score(
        term
        for page in pages
        for side in page.speaking()
        for term in search_terms(page.text(side)[:CHARACTERS_COMPARED])
    )
    by_meaning = _best(np.where(candidates & (cosines >= MIN_COSINE), cosines, 0), MAX_RELATED_FACTS // 2)
    words[~candidates] = 0
    words[by_meaning] = 0
    by_words = _best(words, MAX_RELATED_FACTS - len(by_meaning))
    return tuple(entries[index] for index in sorted([*by_meaning, *by_words]))


def _best(scores: NDArray[np.float32], count: int) -> list[int]:
    """Returns the indices of the ``count`` highest positive scores."""
    order = np.argsort(-scores, kind="stable")[:count]
    return [int(index) for index in order if scores[index] > 0]
