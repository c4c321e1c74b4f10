"""Text as words, sentences and estimated tokens; one way for what is indexed and for what is asked."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import snowballstemmer

from memoryos.language.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "content_words",
    "estimate_tokens",
    "excerpt",
    "fold",
    "is_stop_word",
    "keywords",
    "sentences",
    "terms",
]

_CJK = "぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿가-힯𠀀-𲎯"
_RUN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['’][^\W\d_{_CJK}]+)?")
_ASCII_RUN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_CJK_RUN = re.compile(rf"[{_CJK}]+")
_POSSESSIVE = re.compile(r"['’]s?\Z")
_FOLDED_LETTERS = str.maketrans(
    {"đ": "d", "ø": "o", "ł": "l", "ð": "d", "þ": "th", "ı": "i", "æ": "ae", "œ": "oe", "ħ": "h"}
)
_MARKED = re.compile("[\u0300-\u036f]")

_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s)|[。！？…]+[”’」』）]*|\n+")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st sr jr vs etc e.g i.e u.s u.k p.m a.m no vol fig approx inc ltd co dept est".split()
)
_LAST_WORD = re.compile(r"([\w.]+)\.\Z")

CJK_TOKENS = 0.75
"""Tokens of one Chinese, Japanese or Korean character: what current tokenizers need, within a fifth."""
EXCERPT_STEP = 400
SHORTEST_STEMMED = 3


def fold(text: str) -> str:
    """Returns the text as words are compared: NFKC, case folded, Latin marks taken off (đ→d, ø→o, ß→ss)."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_FOLDED_LETTERS)
    return unicodedata.normalize("NFC", _MARKED.sub("", unicodedata.normalize("NFD", folded)))


def terms(text: str) -> list[str]:
    """Returns the words of a text for indexing and for queries alike, in order, with repeats.

    Latin words are folded and stemmed; runs of Chinese, Japanese and Korean become overlapping bigrams, a lone
    character stays (words of two characters are found so, which trigrams and word breaking miss).
    """
    folded = fold(text)
    if folded.isascii():
        return [_stem(word) for word in _ASCII_RUN.findall(folded)]
    return [term for run in _RUN.findall(folded) for term in _terms_of_run(run)]


def content_words(text: str) -> list[str]:
    """Returns the folded words of a text that are no stop words, as a person would read them, in order."""
    return [word for word in _surface_words(text) if word not in STOP_WORDS]


def is_stop_word(word: str) -> bool:
    """Returns whether a folded word carries no topic of its own."""
    return word in STOP_WORDS


def keywords(texts: Sequence[str], limit: int = 10) -> list[str]:
    """Returns the words that say what the texts are about, most telling first.

    Words are counted by stem over the texts; a word that many of the texts share counts more than one that a single
    text repeats. Of the forms of a stem the most frequent one is shown.
    """
    spread: Counter[str] = Counter()
    total: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    first: dict[str, int] = {}
    for text in texts:
        words = [word for word in content_words(text) if len(word) > 1 and not word.isdigit()]
        stems = [_stem(word) for word in words]
        spread.update(set(stems))
        total.update(stems)
        for word, stem in zip(words, stems, strict=True):
            forms.setdefault(stem, Counter())[word] += 1
            first.setdefault(stem, len(first))
    ranked = sorted(total, key=lambda stem: (-spread[stem] - math.log1p(total[stem]) - _weight(stem), first[stem]))
    return [min(forms[stem], key=lambda word: (-forms[stem][word], word)) for stem in ranked[:limit]]


def sentences(text: str) -> list[str]:
    """Returns the sentences of a text in order, without surrounding space; abbreviations don't end one."""
    found: list[str] = []
    start = 0
    for end in _sentence_ends(text):
        piece = text[start:end].strip()
        if piece:
            found.append(piece)
        start = end
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def estimate_tokens(text: str) -> float:
    """Returns about how many tokens a text costs: a quarter a character, 0.75 a Chinese, Japanese or Korean one."""
    if text.isascii():
        return len(text) / 4
    wide = sum(map(len, _CJK_RUN.findall(text)))
    return (len(text) - wide) / 4 + wide * CJK_TOKENS


def excerpt(text: str, query: str, limit: int) -> str:
    """Returns at most ``limit`` characters of a text, from where most words of the query stand.

    What is left out before and behind is marked with its length, as "[… 1,200 characters left out …]".
    """
    if len(text) <= limit:
        return text
    room = max(1, limit - 2 * len(_mark(len(text))) - 2)
    start = _densest(text, query, room)
    start = _after_space(text, start) if start else 0
    end = min(len(text), start + room)
    before = f"{_mark(start)} " if start else ""
    behind = f" {_mark(len(text) - end)}" if end < len(text) else ""
    return f"{before}{text[start:end]}{behind}"[:limit]


def _terms_of_run(run: str) -> list[str]:
    if not _CJK_RUN.match(run):
        return [_stem(_POSSESSIVE.sub("", run).replace("’", "'"))]
    if len(run) == 1:
        return [run]
    return [run[index : index + 2] for index in range(len(run) - 1)]


def _surface_words(text: str) -> Iterator[str]:
    for run in _RUN.findall(fold(text)):
        if _CJK_RUN.match(run):
            yield from (run[index : index + 2] for index in range(max(1, len(run) - 1)))
        else:
            yield _POSSESSIVE.sub("", run)


def _weight(stem: str) -> float:
    return min(len(stem), 8) / 8


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    """Returns the stem; by a stemmer of its own, because one holds the word it works on and threads would share it."""
    word = _POSSESSIVE.sub("", word)
    if len(word) < SHORTEST_STEMMED or not word.isascii() or word.isdigit():
        return word
    return str(snowballstemmer.stemmer("english").stemWord(word))


def _sentence_ends(text: str) -> Iterator[int]:
    for match in _SENTENCE_END.finditer(text):
        if match.group() == ".":
            word = _LAST_WORD.search(text, max(0, match.start() - 12), match.end())
            if word and (
                word.group(1).casefold() in _ABBREVIATIONS or (len(word.group(1)) == 1 and word.group(1) != "I")
            ):
                continue
        yield match.end()


def _densest(text: str, query: str, room: int) -> int:
    wanted = set(content_words(query))
    if not wanted:
        return 0
    pieces = range(0, len(text), EXCERPT_STEP)
    hits = [len(wanted.intersection(_surface_words(text[at : at + EXCERPT_STEP]))) for at in pieces]
    width = max(1, room // EXCERPT_STEP)
    window = sum(hits[:width])
    best, best_at = window, 0
    for at in range(1, max(1, len(hits) - width + 1)):
        window += (hits[at + width - 1] if at + width - 1 < len(hits) else 0) - hits[at - 1]
        if window > best:
            best, best_at = window, at
    return best_at * EXCERPT_STEP


def _after_space(text: str, start: int) -> int:
    space = text.find(" ", start, start + 40)
    return start if space == -1 else space + 1


def _mark(characters: int) -> str:
    return f"[… {characters:,} characters left out …]"
