"""Words and search terms of a text, computed in the same way for indexed texts and for queries."""

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
"""Chinese, Japanese and Korean characters, as they are written between the brackets of a pattern."""
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
"""Endings of Portuguese plurals whose stem differs from that of the singular."""
_STEMMERS: dict[str, str] = {"nl": "dutch", "pt": "portuguese"}


def fold(text: str) -> str:
    """Returns the text in the form in which words are compared: NFKC, case folded, without accents (đ→d, ø→o, ß→ss)."""
    if text.isascii():
        return text.lower()
    folded = normalized("NFKC", text).casefold().translate(_FOLDED_LETTERS)
    return normalized("NFC", _ACCENTS.sub("", normalized("NFD", folded)))


def terms(text: str) -> list[str]:
    """Returns the terms of a text, in order, with repetitions.

    * Latin words are folded and stemmed as English words, because the language of a text is not always detected.
    * Dutch and Portuguese words add their stem in that language.
    * Vietnamese adds each pair of neighbouring syllables, because most words have two syllables.
    * Runs of Chinese and Korean characters become overlapping pairs; a single character is kept. Pairs match words of
      two characters, which triples and word segmentation miss.
    * Japanese becomes pairs within one script, pairs of a kanji and the ending after it, and whole katakana words.
      Pairs that occur in endings are left out.
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
    """Returns the terms of a text for the index and for queries: ``terms`` and each single Han character.

    Single characters match synonyms, which often share one character but no pair.
    """
    found = terms(text)
    if text.isascii():
        return found
    known = {*found}
    return found + [character for character in _HAN.findall(text) if character not in known]


def content_words(text: str) -> list[str]:
    """Returns the folded, unstemmed words of a text without the topic stop words of its language, in order."""
    stops = _topic_stop_words(language_of(text))
    return [word for word in _surface_words(text) if word not in stops]


def function_terms(found: Sequence[str], language: Language | None) -> frozenset[str]:
    """Returns the terms with half weight in BM25: those of stop words, and single Han characters."""
    stops = _stop_terms(language)
    return frozenset(term for term in found if term in stops or _HAN.fullmatch(term))


@cache
def _topic_stop_words(language: Language | None) -> frozenset[str]:
    """Returns the topic stop words of a language; those of English are included, because texts mix it in."""
    if language in {None, "en", "zh"}:
        return TOPIC_STOP_WORDS_OF_UNKNOWN
    return TOPIC_STOP_WORDS["en"] | TOPIC_STOP_WORDS[str(language)]


@cache
def _stop_terms(language: Language | None) -> frozenset[str]:
    """Returns the terms of a language's BM25 stop words; those of English for an unknown language."""
    known = language or "en"
    found: set[str] = set()
    for word in BM25_HALF_WEIGHT_WORDS[known]:
        found.update(_forms(word, _STEMMERS[known]) if known in _STEMMERS else _terms_of_run(word))
    return frozenset(found)


@lru_cache(maxsize=100_000)
def stem(word: str, algorithm: str = "english") -> str:
    """Returns the stem of a word. Each call creates a stemmer, because a stemmer is not thread-safe."""
    word = _POSSESSIVE.sub("", word)
    if len(word) < _SHORTEST_STEMMED or word.isdigit() or not (word.isascii() or algorithm != "english"):
        return word
    return str(Stemmer.Stemmer(algorithm, 0).stemWord(word))


def _stemmed_terms(text: str, language: Language) -> list[str]:
    """Returns up to three folded stems of each word.

    These are the stem of the word with accents, the stem without accents, and the stem by the rules of English.
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
    """Yields runs of kanji and of katakana, and a run of hiragana at the beginning, without its particle."""
    for match in _SCRIPTS.finditer(run):
        if not match["hiragana"]:
            yield match.group()
        elif match.start() == 0:
            word = _PARTICLES.sub("", match.group())
            if len(word) > 1 and not _ENDS_A_CLAUSE.search(word):
                yield word
