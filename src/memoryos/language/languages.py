"""Detects the language of a text. ``language_of`` is for short texts; ``certain_language_of`` is for long texts."""

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
"""Codes of the supported languages: English, Dutch, Japanese, Portuguese, Vietnamese, Chinese."""
LANGUAGE_NAMES: dict[Language, str] = {
    "en": "English",
    "nl": "Dutch",
    "ja": "Japanese",
    "pt": "Portuguese",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""The English name of each supported language, by code."""

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
"""Lower-case letters of each script, for use between the square brackets of a regular expression."""
_LETTERS = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
"""Matches a word: letters, with at most one apostrophe between them."""

_LONGEST_SHORT_TEXT = 1_000
_LONGEST_LONG_TEXT = 20_000
"""Number of characters of a text that are read. The rest is ignored."""
_LEAST_KANA = 0.06
"""Minimum share of kana in a Japanese text. Chinese texts have a smaller share, e.g. の in the name of a shop."""
_LETTERS_PER_HAN = 3
"""Number of Latin letters that count as much as one Han character or kana."""

_VIETNAMESE_LETTERS = re.compile("[ăđơưạ-ỹ]|[aeiouy][̣̉]")
_VIETNAMESE_TONES = re.compile("[ẽĩũỹ]|(?:^|[^aeiou])(?:ì|ò|ù|è|ỳ)")
_PORTUGUESE_LETTERS = re.compile("[ãõ]|ç|lh[aeou]|nh[aeou]|ções")
_DUTCH_LETTERS = re.compile("ij|aa|oo|uu|eeuw|sch|cht|oe|ui")
_LETTERS_OF = {"nl": _DUTCH_LETTERS, "pt": re.compile("lh[aeo]|nh[aeo]|cao$|coes$|[aei]r$")}
_LETTER_SCORE, _MAX_SCORED_WORDS = 0.3, 3
"""Score of a word with letters that are typical of a language, and the maximum number of such words that are counted.

A frequent word of the language scores 1."""
_FOREIGN_LETTERS = re.compile("[ßñýåøæþðłżźśćčšžřěťďň¿¡]")

_NEVER_ENGLISH = frozenset[str]().union(*FOLDED_LANGUAGE_WORDS.values()) - FOLDED_LANGUAGE_WORDS["en"]
"""Frequent words of all languages but English. An ASCII text with none of them is English or not detected.

Most texts are decided by this one lookup."""
_MIN_UNACCENTED_WORDS = 3
_MIN_UNACCENTED_SHARE = 0.45
"""Minimum number of distinct words in a Vietnamese text without accents, and minimum share of frequent words.

Both are needed because Vietnamese syllables without accents look like words of many languages.
"""

_CERTAIN_SHARE = 0.2
"""Minimum share of the words of a long text that must be frequent words of its language.

The text must contain at most half as many frequent words of any other language."""
_CERTAIN_WORDS = 3
"""Minimum number of distinct frequent words. With fewer, "Rio de la Plata" would count as Spanish text."""


def language_of(text: str, default: Language | None = None) -> Language | None:
    """Returns the language of a text, or ``default`` if the language can't be detected or is none of ``LANGUAGES``.

    One sentence is enough, with or without accents. A text in Han characters without kana counts as Chinese, or as
    Japanese if ``default`` is Japanese.
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
    """Returns the ISO 639-1 code of the language of a long text in Latin letters, or None if it is not certain.

    Unlike ``language_of``, this function also detects German, French and Spanish. It does not detect a language that is
    written without its accents.

    Args:
        text: The text.
        min_words: Minimum number of words. For a shorter text the function returns None.
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
    """Counts the letters of each script in the first 20,000 characters of a text."""
    lowered = text[:_LONGEST_LONG_TEXT].lower()
    return +Counter({script: len(pattern.findall(lowered)) for script, pattern in _LETTERS.items()})


def _east_asian(kana: int, han: int, hangul: int, default: Language | None) -> Language | None:
    if hangul > kana + han:
        return default
    if kana >= _LEAST_KANA * (kana + han):
        return "ja"
    return "ja" if default == "ja" else "zh"


def _latin(lowered: str) -> Language | None:
    """Returns the language whose frequent words and typical letters occur most in a text. English wins a tie."""
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
