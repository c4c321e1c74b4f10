"""Splits texts into words and search terms. Indexed texts and queries are split in the same way."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import Stemmer

from memoryos.language.ascii_words import ascii_words
from memoryos.language.languages import language_of
from memoryos.language.normalizing import normalized
from memoryos.language.stop_words import (
    BM25_HALF_WEIGHT_WORDS,
    BM25_JAPANESE_ENDINGS,
    TOPIC_STOP_WORDS,
    TOPIC_STOP_WORDS_OF_UNKNOWN,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memoryos.language.languages import Language

__all__ = ["CJK", "content_words", "fold", "function_terms", "search_terms", "stem", "terms"]

CJK = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U000323af"
"""Chinese, Japanese and Korean characters, for use between the square brackets of a regular expression."""
_RUN = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+(?:['’][^\W\d_{CJK}]+)?")
_CJK_RUN = re.compile(rf"[{CJK}]+")
_SCRIPTS = re.compile(
    r"(?P<hiragana>[\u3040-\u309f]+)|(?P<katakana>[\u30a0-\u30ff\u31f0-\u31ff]+)|[^\u3040-\u30ff\u31f0-\u31ff]+"
)
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_PARTICLES = re.compile("(?:[がをは].*|には|では|とは|から|まで|[にへとでもの])$")
_ENDS_A_CLAUSE = re.compile("(?:です|ます|した|して|ない|ました|でした|ません|だよ|よね|かな)")
_POSSESSIVE = re.compile(r"['’]s?\Z")
_FOLDED_LETTERS = str.maketrans(
    {"đ": "d", "ø": "o", "ł": "l", "ð": "d", "þ": "th", "ı": "i", "æ": "ae", "œ": "oe", "ħ": "h"}
)
_ACCENTS = re.compile("[\u0300-\u036f]")
_SHORTEST_STEMMED = 3
_PLURAL = re.compile(r"(?<=\w\w\w)(?:ões|ães|oes)\Z")
"""Matches endings of Portuguese plurals that have another stem than the singular, e.g. "-ões"."""
_STEMMERS: dict[str, str] = {"nl": "dutch", "pt": "portuguese"}


def fold(text: str) -> str:
    """Folds a text, so that variants of a word become equal: case-folded, without accents, in NFKC form.

    Special letters are replaced too: đ→d, ø→o, ß→ss.
    """
    if text.isascii():
        return text.lower()
    folded = normalized("NFKC", text).casefold().translate(_FOLDED_LETTERS)
    return normalized("NFC", _ACCENTS.sub("", normalized("NFD", folded)))


def terms(text: str) -> list[str]:
    """Splits a text into search terms, in order and with repetitions.

    * Words in Latin letters are folded and stemmed like English words. Texts in Dutch and Portuguese also get the stems
      of their own language.
    * Vietnamese texts also get each pair of neighbouring syllables, because most words have two syllables.
    * Chinese and Korean texts are split into overlapping pairs of characters, because many words have two characters.
    * Japanese texts are split into pairs of characters of one script, pairs of a kanji and the ending after it, and
      whole katakana words. Pairs that occur only in endings are left out.
    """
    language = language_of(text)
    if language in {"nl", "pt"}:
        return _stemmed_terms(text, language)
    words = ascii_words(text if text.isascii() else fold(text))
    if words is not None:
        found = [*map(stem, words)]
    else:
        found = [term for run in _RUN.findall(fold(text)) for term in _terms_of_run(run)]
    return found + _syllable_pairs(fold(text)) if language == "vi" else found


def search_terms(text: str) -> list[str]:
    """Splits a text into search terms as ``terms`` does, and adds each single Han character.

    Single characters find synonyms, which often have one character in common but no pair.
    """
    found = terms(text)
    if text.isascii():
        return found
    known = {*found}
    return found + [character for character in _HAN.findall(text) if character not in known]


def content_words(text: str) -> list[str]:
    """Returns the words of a text in order, without the stop words of its language.

    The words are folded (lower case, without accents) but not stemmed.
    """
    stops = _topic_stop_words(language_of(text))
    return [word for word in _surface_words(text) if word not in stops]


def function_terms(found: Sequence[str], language: Language | None) -> frozenset[str]:
    """Returns the terms that have half weight in BM25: terms of stop words, and single Han characters."""
    stops = _stop_terms(language)
    return frozenset(term for term in found if term in stops or _HAN.fullmatch(term))


@cache
def _topic_stop_words(language: Language | None) -> frozenset[str]:
    """Returns the topic stop words of a language and those of English, because many texts contain English words."""
    if language in {None, "en", "zh"}:
        return TOPIC_STOP_WORDS_OF_UNKNOWN
    return TOPIC_STOP_WORDS["en"] | TOPIC_STOP_WORDS[str(language)]


@cache
def _stop_terms(language: Language | None) -> frozenset[str]:
    """Returns the BM25 stop words of a language as search terms. An unknown language counts as English."""
    known = language or "en"
    found: set[str] = set()
    for word in BM25_HALF_WEIGHT_WORDS[known]:
        found.update(_forms(word, _STEMMERS[known]) if known in _STEMMERS else _terms_of_run(word))
    return frozenset(found)


@lru_cache(maxsize=100_000)
def stem(word: str, algorithm: str = "english") -> str:
    """Returns the stem of a word, e.g. "run" for "running"."""
    word = _POSSESSIVE.sub("", word)
    if len(word) < _SHORTEST_STEMMED or word.isdigit() or not (word.isascii() or algorithm != "english"):
        return word
    return str(Stemmer.Stemmer(algorithm, 0).stemWord(word))  # a new stemmer per call: stemmers are not thread-safe


def _stemmed_terms(text: str, language: Language) -> list[str]:
    """Returns up to three folded stems of each word, computed by different rules.

    These are the rules of the language, applied to the word with and without its accents, and the rules of English.
    """
    found: list[str] = []
    for run in _RUN.findall(normalized("NFKC", text).casefold()):
        if _CJK_RUN.match(run):
            found += _terms_of_run(run)
        else:
            found += _forms(_POSSESSIVE.sub("", run).replace("’", "'"), _STEMMERS[language])
    return found


@lru_cache(maxsize=100_000)
def _forms(word: str, algorithm: str) -> tuple[str, ...]:
    folded = fold(word)
    one = _PLURAL.sub("ão", word) if algorithm == _STEMMERS["pt"] else word
    return tuple(dict.fromkeys((stem(folded), stem(fold(one), algorithm), fold(stem(one, algorithm)))))


def _syllable_pairs(folded: str) -> list[str]:
    stops = BM25_HALF_WEIGHT_WORDS["vi"]
    return [
        f"{one} {other}"
        for part in re.split(r"[^\w\s]+", folded)
        for one, other in pairwise(part.split())
        if not (one in stops and other in stops)
    ]


def _terms_of_run(run: str) -> Iterator[str]:
    if not _CJK_RUN.match(run):
        yield stem(_POSSESSIVE.sub("", run).replace("’", "'"))
    elif not _KANA.search(run):
        yield from _pairs(run)
    else:
        yield from _japanese_terms(run)


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for index in range(len(run) - 1):
        yield run[index : index + 2]


def _japanese_terms(run: str) -> Iterator[str]:
    before = ""
    for match in _SCRIPTS.finditer(run):
        part = match.group()
        if match["hiragana"]:
            if before:
                yield before[-1] + part[0]
            yield from (pair for pair in map("".join, pairwise(part)) if pair not in BM25_JAPANESE_ENDINGS)
            before = ""
        elif match["katakana"]:
            word = part.rstrip("ー") or part
            if len(word) > 2:  # noqa: PLR2004  (a word of two characters is a pair already)
                yield word
            yield from _pairs(word)
            before = ""
        else:
            yield from _pairs(part)
            before = part


def _surface_words(text: str) -> Iterator[str]:
    for run in _RUN.findall(fold(text)):
        if not _CJK_RUN.match(run):
            yield _POSSESSIVE.sub("", run)
        elif _KANA.search(run):
            yield from _japanese_words(run)
        else:
            yield from (run[index : index + 2] for index in range(max(1, len(run) - 1)))


def _japanese_words(run: str) -> Iterator[str]:
    """Yields the words of a Japanese text: sequences of kanji, and sequences of katakana.

    A sequence of hiragana at the beginning of the text also counts as a word, without the particle at its end.
    """
    for match in _SCRIPTS.finditer(run):
        if not match["hiragana"]:
            yield match.group()
        elif match.start() == 0:
            word = _PARTICLES.sub("", match.group())
            if len(word) > 1 and not _ENDS_A_CLAUSE.search(word):
                yield word
