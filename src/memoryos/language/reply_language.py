"""Checks whether a model's reply is in the same language as the text that the model was given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memoryos.language.languages import WORD, certain_language_of, count_letters

if TYPE_CHECKING:
    from collections import Counter

__all__ = ["is_in_other_language"]

_URL = re.compile(r"https?://\S+")
_LATIN_START = re.compile("[a-zà-ɏạ-ỹ]")
_LONGEST_READ = 20_000
_WEIGHTS = {"han": 3, "kana": 3, "hangul": 3}
"""Weights of characters: one Han character, kana or hangul counts as much as three letters of another script."""

DOMINANT = 0.75
"""A script is the main script of a text if it has at least this share of the text's weighted letters."""
FOREIGN = 0.15
"""A reply is in another script if less than this share of its letters are in the main script of the source text."""
ENOUGH_LETTERS = 24
"""The script of a reply is checked if the reply has at least this many weighted letters that are not Latin."""
ENOUGH_WORDS = 4
"""The script of a reply is also checked if the reply has at least this many lower-case Latin words.

Capitalised words do not count, because texts in every language contain names in Latin letters.
"""
KANA = (0.02, 0.2)
"""Shares of kana in a text with Han characters: up to the first share it is Chinese, from the second it is Japanese."""
MIN_REPLY_WORDS, MIN_SOURCE_WORDS = 8, 20
"""Minimum number of words of a reply and of a source in Latin letters. Shorter texts are not compared."""


def is_in_other_language(reply: str, source: str) -> bool:
    """Returns whether a model's reply is in another language than the source text.

    Returns False in doubt, e.g. if the reply is short, mixes languages or consists of names. A false alarm costs a
    model call, while a wrong language that is not noticed costs little.
    """
    reply = _URL.sub(" ", reply)
    script, letters = _dominant_script(source), count_letters(reply)
    if script is None or not letters:
        return False
    if _weighted(letters)[script] < FOREIGN * _weighted(letters).total():
        return _has_enough_text(reply)
    if script == "han":
        return {_is_japanese(letters), _is_japanese(count_letters(source))} == {True, False}
    if script != "latin":
        return False
    languages = {
        certain_language_of(reply, min_words=MIN_REPLY_WORDS),
        certain_language_of(source, min_words=MIN_SOURCE_WORDS),
    }
    return None not in languages and len(languages) > 1


def _dominant_script(text: str) -> str | None:
    letters = _weighted(count_letters(text))
    return next((name for name, count in letters.most_common(1) if count >= DOMINANT * letters.total()), None)


def _weighted(letters: Counter[str]) -> Counter[str]:
    """Returns the weighted number of letters of each script. Kana are counted as Han characters."""
    weighed = letters.copy()
    for script, weight in _WEIGHTS.items():
        weighed[script] *= weight
    weighed["han"] += weighed.pop("kana", 0)
    return +weighed


def _has_enough_text(text: str) -> bool:
    letters = _weighted(count_letters(text))
    words = sum(word[0].islower() for word in WORD.findall(text[:_LONGEST_READ]) if _LATIN_START.match(word))
    return words >= ENOUGH_WORDS or letters.total() - letters["latin"] >= ENOUGH_LETTERS


def _is_japanese(letters: Counter[str]) -> bool | None:
    """Returns whether a text with Han characters is Japanese rather than Chinese; None if this is not certain."""
    total = letters["han"] + letters["kana"]
    if total * _WEIGHTS["han"] < ENOUGH_LETTERS or KANA[0] < letters["kana"] / total < KANA[1]:
        return None
    return letters["kana"] / total >= KANA[1]
