"""The language detector: ``language_of`` guesses from a short text, ``certain_language_of`` decides on long texts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal, get_args

from memoryos.language.ascii_words import ascii_words
from memoryos.language.normalizing import normalized
from memoryos.language.stop_words import ACCENTED_LANGUAGE_WORDS, FOLDED_LANGUAGE_WORDS

__all__ = [
    "LANGUAGES",
    "LANGUAGE_NAMES",
    "WORD",
    "Language",
    "certain_language_of",
    "count_letters",
    "language_of",
]

Language = Literal["en", "nl", "ja", "pt", "vi", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
"""English, Dutch, Japanese, Portuguese, Vietnamese, Chinese."""
LANGUAGE_NAMES: dict[Language, str] = {
    "en": "English",
    "nl": "Dutch",
    "ja": "Japanese",
    "pt": "Portuguese",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""By code, in English."""

_SCRIPTS = {
    "han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af",
    "kana": "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "hangul": "\uac00-\ud7af",
    "cyrillic": "\u0400-\u04ff",
    "greek": "\u0370-\u03ff",
    "arabic": "\u0600-\u06ff",
    "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-\u097f",
    "thai": "\u0e00-\u0e7f",
    "latin": "a-z\u00e0-\u024f\u1ea1-\u1ef9",
}
"""Lower-case letters of each script, as they are written between the brackets of a pattern."""
_LETTERS = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
"""A word of letters, with one apostrophe at most."""

_LONGEST_SHORT_TEXT = 1_000
_LONGEST_LONG_TEXT = 20_000
"""Characters that are read of a text."""
_LEAST_KANA = 0.06
"""Share of kana from which a text in Han characters is Japanese, so that の in a shop's name does not make it so."""
_LETTERS_PER_HAN = 3
"""Latin letters that count as much as one Han character or kana."""

_VIETNAMESE_LETTERS = re.compile("[ăđơưạ-ỹ]|[aeiouy][̣̉]")
_VIETNAMESE_TONES = re.compile("[ẽĩũỹ]|(?:^|[^aeiou])(?:ì|ò|ù|è|ỳ)")
_PORTUGUESE_LETTERS = re.compile("[ãõ]|ç|lh[aeou]|nh[aeou]|ções")
_DUTCH_LETTERS = re.compile("ij|aa|oo|uu|eeuw|sch|cht|oe|ui")
_LETTERS_OF = {"nl": _DUTCH_LETTERS, "pt": re.compile("lh[aeo]|nh[aeo]|cao$|coes$|[aei]r$")}
_LETTER_SCORE, _MAX_SCORED_WORDS = 0.3, 3
"""Score of a word with letters typical of a language (a frequent word scores 1), and how many such words count."""
_FOREIGN_LETTERS = re.compile("[ßñýåøæþðłżźśćčšžřěťďň¿¡]")

_NEVER_ENGLISH = frozenset[str]().union(*FOLDED_LANGUAGE_WORDS.values()) - FOLDED_LANGUAGE_WORDS["en"]
"""An ASCII text without any of these words is English or undetected; this covers most texts in one lookup."""
_MIN_UNACCENTED_WORDS = 3
_MIN_UNACCENTED_SHARE = 0.45
"""Least number of distinct words, and least share of frequent words among them, of Vietnamese without accents.

Its syllables look like words of many languages.
"""

_CERTAIN_SHARE = 0.2
"""Least share of a language's frequent words in a long text; those of any other language are at most half as many."""
_CERTAIN_WORDS = 3
"""Least number of distinct frequent words: "Rio de la Plata" is not Spanish text."""


def language_of(text: str, default: Language | None = None) -> Language | None:
    """Returns the language of a text; ``default`` if it can't be detected or is none of ``LANGUAGES``.

    A single sentence is enough, with or without accents. Text in Han characters without kana is Chinese, unless the
    default is Japanese.
    """
    read = text[:_LONGEST_SHORT_TEXT]
    words = ascii_words(read)
    if words is not None and _NEVER_ENGLISH.isdisjoint(words):
        return default if FOLDED_LANGUAGE_WORDS["en"].isdisjoint(words) else "en"
    lowered = read.lower()
    if not lowered.isascii():
        lowered = normalized("NFC", lowered)
        kana, han, latin = (len(_LETTERS[script].findall(lowered)) for script in ("kana", "han", "latin"))
        if (kana + han) * _LETTERS_PER_HAN > latin:
            return _east_asian(kana, han, len(_LETTERS["hangul"].findall(lowered)), default)
    return _latin(lowered) or default


def certain_language_of(text: str, *, min_words: int) -> str | None:
    """Returns the ISO 639-1 code of the language of a long text in Latin letters, if it is certain.

    Unlike ``language_of`` it detects German, French and Spanish too, requires accents, and returns None rather than a
    guess.

    Args:
        text: The text.
        min_words: Number of words below which a text is too short to be certain.
    """
    composed = normalized("NFC", text[:_LONGEST_LONG_TEXT].lower()).replace("’", "'")
    words = WORD.findall(composed)
    if len(words) < min_words:
        return None
    found = {code: [word for word in words if word in frequent] for code, frequent in ACCENTED_LANGUAGE_WORDS.items()}
    best, second = sorted(found, key=lambda code: -len(found[code]))[:2]
    is_clear = len(found[best]) >= max(_CERTAIN_SHARE * len(words), 2 * len(found[second]))
    return best if is_clear and len(set(found[best])) >= _CERTAIN_WORDS else None


def count_letters(text: str) -> Counter[str]:
    """Returns the number of letters of each script that occurs in the first 20,000 characters of a text."""
    lowered = text[:_LONGEST_LONG_TEXT].lower()
    return +Counter({script: len(pattern.findall(lowered)) for script, pattern in _LETTERS.items()})


def _east_asian(kana: int, han: int, hangul: int, default: Language | None) -> Language | None:
    if hangul > kana + han:
        return default
    if kana >= _LEAST_KANA * (kana + han):
        return "ja"
    return "ja" if default == "ja" else "zh"


def _latin(lowered: str) -> Language | None:
    """Returns the language with the highest score of frequent words and typical letters; English wins a tie."""
    words = [word.replace("’", "'") for word in WORD.findall(lowered)]
    distinct = set(words if lowered.isascii() else [_unaccented(word) for word in words])
    scores = {code: float(len(distinct & frequent)) for code, frequent in FOLDED_LANGUAGE_WORDS.items()}
    if not lowered.isascii():
        scores["vi"] += 2.0 * sum(
            1 for word in words if _VIETNAMESE_LETTERS.search(word) or _VIETNAMESE_TONES.search(word)
        )
        scores["pt"] += sum(
            1 for word in words if _PORTUGUESE_LETTERS.search(word) and not _VIETNAMESE_LETTERS.search(word)
        )
        foreign = sum(1 for word in words if _FOREIGN_LETTERS.search(word))
        for code in ("es", "de"):
            scores[code] += foreign
    elif scores["vi"] < _MIN_UNACCENTED_SHARE * len(distinct) or len(distinct) < _MIN_UNACCENTED_WORDS:
        scores["vi"] = 0.0
    for code, letters in _LETTERS_OF.items():
        if scores[code]:
            typical = sum(1 for word in distinct if letters.search(word))
            scores[code] += _LETTER_SCORE * min(_MAX_SCORED_WORDS, typical)
    best = max(scores, key=lambda code: (scores[code], code == "en"))
    if scores[best] < 1:
        return None
    return next((each for each in LANGUAGES if each == best), None)


@lru_cache(maxsize=100_000)
def _unaccented(word: str) -> str:
    decomposed = normalized("NFD", word.replace("đ", "d"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
