"""Decides whether a context shows a known text: by the share of the text's content words that occur in it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from memoryos.language.text import content_words, terms

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MIN_SHARE", "is_shown", "word_prefixes"]

MIN_SHARE = 0.6
"""A text is shown if this share of its different content words occurs in one piece of the context."""
PREFIX_LETTERS = 6
"""Words with the same first letters count as the same word, so that "planned" matches "planning"."""


def is_shown(text: str, pieces: Iterable[str]) -> bool:
    """Returns whether at least one of the pieces contains 60% of the content words of a text.

    A text without words, such as an emoji, must occur literally.
    """
    wanted = word_prefixes(text)
    if not wanted:
        return any(text in piece for piece in pieces)
    return any(len(wanted & word_prefixes(piece)) >= MIN_SHARE * len(wanted) for piece in pieces)


@lru_cache(maxsize=50_000)
def word_prefixes(text: str) -> frozenset[str]:
    """Returns the first six letters of each content word; of a text with stop words only, its terms."""
    return frozenset(word[:PREFIX_LETTERS] for word in content_words(text) or terms(text))
