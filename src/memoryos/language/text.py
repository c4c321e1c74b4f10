"""Finds keywords and sentences of texts, estimates numbers of tokens, and makes excerpts."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from memoryos.language.matching import Bounded
from memoryos.language.tokens import CJK, content_words, fold, function_terms, search_terms, stem, terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "content_words",
    "estimate_tokens",
    "excerpt",
    "fold",
    "function_terms",
    "is_storable",
    "keywords",
    "search_terms",
    "sentence_ends",
    "sentences",
    "terms",
]

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_CJK_RUN = re.compile(rf"[{CJK}]+")
_SENTENCE_END = re.compile(r"(?P<latin>[.!?]+[\"'”’)\]]*)|[。！？…｡]+[”’」』）]*|\n+")
"""Matches punctuation that may end a sentence. For Latin punctuation, code checks that white space follows.

A look-ahead in the pattern, instead of the check in code, would take quadratic time.
"""
_ABBREVIATIONS = frozenset(
    (
        "mr mrs ms dr prof st sr jr vs etc e.g i.e u.s u.k p.m a.m no vol fig approx inc ltd co dept est "
        "bijv bv dhr mevr mw drs ir ing o.a d.w.z m.b.t i.v.m t.o.v z.s.m n.a.v nr blz ca enz "
        "sra srta dra profa pág pag tel av séc p.ex ex tp ths ts gs pgs q p"
    ).split()
)
_LONGEST_ABBREVIATION = 12
_LAST_WORD = Bounded(r"([\w.]+)\.\Z", longest=_LONGEST_ABBREVIATION + 1)

CJK_TOKENS = 0.75
"""Estimated number of tokens per Chinese, Japanese or Korean character. Current tokenizers differ by up to 20%."""


def is_storable(text: str) -> bool:
    """Returns whether every database can store the text: it contains no NUL character and no lone surrogate."""
    return _UNSTORABLE.search(text) is None


def keywords(texts: Sequence[str], limit: int = 10) -> list[str]:
    """Returns the most characteristic words of several texts, the best first.

    Words with the same stem are counted together, and the most frequent of them is returned. The number of texts that
    contain a word counts more than its number of occurrences in one text.
    """
    spread: Counter[str] = Counter()
    total: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    first: dict[str, int] = {}
    for text in texts:
        words = [word for word in content_words(text) if len(word) > 1 and not word.isdigit()]
        stems = list(map(stem, words))
        spread.update(set(stems))
        total.update(stems)
        for word, root in zip(words, stems, strict=True):
            forms.setdefault(root, Counter())[word] += 1
            first.setdefault(root, len(first))
    ranked = sorted(total, key=lambda root: (-spread[root] - math.log1p(total[root]) - _weight(root), first[root]))
    return [min(forms[root], key=lambda word: (-forms[root][word], word)) for root in ranked[:limit]]


def sentences(text: str) -> list[str]:
    """Splits a text into sentences without surrounding white space. The period of an abbreviation ends no sentence."""
    found: list[str] = []
    start = 0
    for end in sentence_ends(text):
        piece = text[start:end].strip()
        if piece:
            found.append(piece)
        start = end
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def estimate_tokens(text: str) -> float:
    """Estimates the number of tokens of a text.

    A Chinese, Japanese or Korean character counts as 0.75 tokens, and any other character as 0.25 tokens.
    """
    if text.isascii():
        return len(text) / 4
    wide = sum(map(len, _CJK_RUN.findall(text)))
    return (len(text) - wide) / 4 + wide * CJK_TOKENS


def excerpt(text: str, limit: int) -> str:
    """Returns the beginning of a text, at most ``limit`` characters long.

    A mark such as "[… 1,200 characters left out …]" replaces the rest of a longer text.
    """
    if len(text) <= limit:
        return text
    # The length is that of earlier releases, which could omit text before and after an excerpt.
    end = max(1, limit - 2 * len(_mark(len(text))) - 2)
    return f"{text[:end]} {_mark(len(text) - end)}"[:limit]


def _weight(root: str) -> float:
    return min(len(root), 8) / 8


def sentence_ends(text: str) -> Iterator[int]:
    """Yields the offset after each sentence of a text, except the last one if no punctuation ends it."""
    for match in _SENTENCE_END.finditer(text):
        if match["latin"] and not text[match.end() : match.end() + 1].isspace():
            continue
        if match.group() == ".":
            word = _LAST_WORD.search(text[max(0, match.start() - _LONGEST_ABBREVIATION) : match.end()])
            if word and (
                word.group(1).casefold() in _ABBREVIATIONS or (len(word.group(1)) == 1 and word.group(1) != "I")
            ):
                continue
        yield match.end()


def _mark(characters: int) -> str:
    return f"[… {characters:,} characters left out …]"
