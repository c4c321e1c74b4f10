"""Splits a text into its words and numbers in order, to test whether two texts say the same in the same words."""

from __future__ import annotations

import re

from memoryos.language.normalizing import normalized

__all__ = ["word_sequence"]

_TOKEN = re.compile(r"(?<!\w)[-−+]?\d+(?:[.,:/]\d+)*|[^\W_]+(?:['’][^\W_]+)*|[%‰°#+&$€£¥₫]")
"""Matches a number with its sign and decimals, a word, or a sign that is a unit or part of a name ("10 %", "C++")."""


def word_sequence(text: str) -> tuple[str, ...]:
    """Returns the casefolded words, numbers and units of a text, in order. Other punctuation is left out.

    Accents, word order, negations and decimals are kept: texts with equal sequences make the same statement.
    """
    folded = normalized("NFKC", text).casefold()
    return tuple(token.replace("’", "'").replace("−", "-") for token in _TOKEN.findall(folded))
