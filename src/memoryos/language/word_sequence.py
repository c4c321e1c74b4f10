"""Splits a text into its words and numbers in order, to test whether two texts say the same in the same words."""

from __future__ import annotations

import re
import unicodedata

from memoryos.language.normalizing import normalized

__all__ = ["word_sequence"]

_TOKEN = re.compile(r"(?<!\w)[-−+]?\d+(?:[.,:/]\d+)*|[^\W_]+(?:['’][^\W_]+)*|[^\s\w]")
"""Matches a number with its sign and decimals, a word, or a single other character."""
_PUNCTUATION = frozenset("PCZ")
_KEPT_PUNCTUATION = frozenset("%‰#&")


def word_sequence(text: str) -> tuple[str, ...]:
    """Returns the casefolded words, numbers and symbols of a text, in order. Punctuation is left out.

    Accents, word order, negations, decimals, signs such as "<" and emoji are kept: texts with equal sequences make the
    same statement.
    """
    folded = normalized("NFKC", text).casefold()
    return tuple(
        token.replace("’", "'").replace("−", "-") for token in _TOKEN.findall(folded) if not _is_punctuation(token)
    )


def _is_punctuation(token: str) -> bool:
    is_mark = len(token) == 1 and unicodedata.category(token)[0] in _PUNCTUATION
    return is_mark and token not in _KEPT_PUNCTUATION
