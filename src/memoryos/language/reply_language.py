"""Checks whether a model's reply is in the language of its source text."""

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
"""Letters of an alphabet that count as much as one character of these scripts."""

DOMINANT = 0.75
"""A text is written in the script that has this share of its letters."""
FOREIGN = 0.15
"""A reply with a smaller share of the source's script is written in another script …"""
ENOUGH_LETTERS = 24
ENOUGH_WORDS = 4
"""… if it has this many weighted letters outside the Latin script, or this many lower-case Latin words.

Names are not enough, because they are written in Latin letters in texts of every language.
"""
KANA = (0.02, 0.2)
"""Text in Han characters is Chinese up to the first share of kana, and Japanese from the second."""
MIN_REPLY_WORDS, MIN_SOURCE_WORDS = 8, 20
"""Shorter texts in Latin letters are not compared."""


def is_in_other_language(reply: str, source: str) -> bool:
    """Returns whether a reply is certainly in another language than its source.

    Replies that are short, mixed or only names are not judged, because a false alarm costs an additional model call
    and an undetected sentence in another language costs little.
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
    """Returns the weighted number of letters of each script; kana are counted as Han characters."""
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
    """Returns whether text in Han characters is Japanese; None if it is too short or between the two shares of kana."""
    total = letters["han"] + letters["kana"]
    if total * _WEIGHTS["han"] < ENOUGH_LETTERS or KANA[0] < letters["kana"] / total < KANA[1]:
        return None
    return letters["kana"] / total >= KANA[1]
