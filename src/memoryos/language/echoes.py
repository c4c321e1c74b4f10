"""Finds echoes: pages that are kept although they repeat content of deleted ("forgotten") pages.

The search reads each page once and takes linear time. It compares this content of the forgotten pages:

* sentences, compared by their first words;
* codes and numbers: words with a digit, except years and short numbers;
* names: words with a capital letter inside a sentence;
* rare words of the user: words that occur in no kept text of the user, and in few kept answers. In scripts without
  spaces, sequences of three characters count as words.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from memoryos.language.stop_words import TOPIC_STOP_WORDS
from memoryos.language.text import fold, sentences
from memoryos.language.tokens import CJK

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

__all__ = ["EchoFinder", "Echoes"]

SHORTEST_SENTENCE = 12
"""Minimum number of characters of a sentence that is compared. In Chinese, Japanese and Korean, half is enough."""
SENTENCE_WORDS = 8
"""Number of words at the beginning of a sentence that are compared."""
SHORTEST_WORD = 5
SHORTEST_CODE = 4
RARE_PAGES = 3
"""A word that occurs in more kept pages than this is general vocabulary, and is not compared."""
WORDS_OF_ANSWER_PER_RARE_WORD = 50
"""An answer counts as based on forgotten pages if it repeats enough of their rare words.

An answer must repeat one rare word, and one more for every 50 words of the answer: three in an answer of 120 words."""
LONGEST_TRACED = 100_000
"""Number of characters of a text that are compared. The rest is ignored."""

_WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
_TRIPLE = 3
_WIDE_RUN = re.compile(rf"[{CJK}]{{3}}")
_WIDE = re.compile(rf"[{CJK}]")
_AFTER_WORD = re.compile(r"(?<=[^\s.!?:;\"“…。！？] )[^\W\d_]\w*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_CALENDAR = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december".split()
)
_STOPS = frozenset().union(*TOPIC_STOP_WORDS.values())


@dataclass(frozen=True, slots=True)
class Echoes:
    """Ids of kept pages that repeat content of forgotten pages.

    Attributes:
        answers: Pages in which the assistant repeats content of older, forgotten pages. No other kept page contains
            this content.
        echoes: Other pages that repeat a sentence or a code of a forgotten page.
    """

    answers: frozenset[str]
    echoes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Remaining:
    page_id: str
    user: frozenset[Hashable]
    answer: frozenset[Hashable]
    answer_words: int


class EchoFinder:
    """Finds pages that repeat content of forgotten (deleted) pages.

    Call ``add_forgotten`` for all forgotten pages, then ``add_remaining`` for all kept pages, and then ``result``.
    """

    def __init__(self) -> None:
        self._first_seq: dict[Hashable, int] = {}
        self._rare_words: set[str] = set()
        self._codes: set[str] = set()
        self._user_content: set[Hashable] = set()
        self._vocabulary: set[str] = set()
        self._sentence_lengths: dict[tuple[str, ...], set[int]] = {}
        self._known_content: set[Hashable] = set()
        self._page_counts: Counter[str] = Counter()
        self._remaining: list[_Remaining] = []

    def add_forgotten(self, seq: int, user_text: str, assistant_text: str) -> None:
        """Adds a forgotten page. ``seq`` is its number in the order of storing."""
        user_text, assistant_text = user_text[:LONGEST_TRACED], assistant_text[:LONGEST_TRACED]
        user_sentences, user_words = _split(user_text)
        assistant_sentences, assistant_words = _split(assistant_text)
        names = {fold(name) for name in _AFTER_WORD.findall(user_text) if name[0].isupper() and len(name) > 1}
        names -= _STOPS | _CALENDAR
        codes = {word for word in user_words | assistant_words if _is_code(word)}
        rare_words = {word for word in user_words if _is_specific(word)}
        if not user_text.isascii():
            rare_words.update(triple for words in user_sentences for triple in _triples(words))
        rare_words -= names
        self._codes |= codes
        self._rare_words |= rare_words
        self._vocabulary |= codes | names | rare_words
        user_openings = [*_openings(user_text, user_sentences)]
        self._user_content.update(codes, names, rare_words, user_openings)
        for opening in (*user_openings, *_openings(assistant_text, assistant_sentences)):
            self._sentence_lengths.setdefault(opening[:2], set()).add(len(opening))
            self._first_seq.setdefault(opening, seq)
        for word in codes | names | rare_words:
            self._first_seq.setdefault(word, seq)

    def add_remaining(self, page_id: str, seq: int, user_text: str, assistant_text: str) -> None:
        """Adds a page that is kept. ``seq`` is its number in the order of storing."""
        if not self._first_seq:
            return
        user, _ = self._found(user_text[:LONGEST_TRACED])
        answer, count = self._found(assistant_text[:LONGEST_TRACED])
        known = user.union(each for each in answer if seq < self._first_seq[each])
        self._known_content |= known
        self._page_counts.update(each for each in user | answer if isinstance(each, str))
        self._vocabulary -= {each for each in known if isinstance(each, str) and not self._is_listed(each)}
        user = {each for each in user if self._is_listed(each)}
        if user or answer:
            self._remaining.append(_Remaining(page_id, frozenset(user), frozenset(answer), count))

    def result(self) -> Echoes:
        """Returns the ids of the pages that are kept although they repeat content of forgotten (deleted) pages."""
        common = {word for word in self._rare_words if self._page_counts[word] > RARE_PAGES}
        secret = self._user_content - self._known_content - common
        answers = {page.page_id for page in self._remaining if self._is_derived(page, secret)}
        echoes = {page.page_id for page in self._remaining if any(map(self._is_listed, (*page.user, *page.answer)))}
        return Echoes(frozenset(answers), frozenset(echoes - answers))

    def _is_listed(self, each: Hashable) -> bool:
        """Returns whether a page that repeats this sentence or word is an echo.

        This is true for every sentence. For a word, it is true only if the word is a code that few pages contain.
        """
        return isinstance(each, tuple) or (each in self._codes and self._page_counts[str(each)] <= RARE_PAGES)

    def _is_derived(self, page: _Remaining, secret: set[Hashable]) -> bool:
        """Returns whether the answer in a page is based on forgotten pages.

        This is true if the answer repeats a sentence, code or name of these pages, or enough of their rare words.
        """
        repeated = page.answer & secret
        if repeated - self._rare_words:
            return True
        return len(repeated) > page.answer_words // WORDS_OF_ANSWER_PER_RARE_WORD

    def _found(self, text: str) -> tuple[set[Hashable], int]:
        """Returns the sentences and words of forgotten pages that occur in a text, and the text's number of words."""
        words = _words(text)
        distinct = set(words)
        if not text.isascii():
            distinct.update(_triples(words))
        found: set[Hashable] = {*(distinct & self._vocabulary)}
        if not self._sentence_lengths.keys().isdisjoint(pairwise(words)):
            found.update(self._found_sentences(words))
        return found, len(words)

    def _found_sentences(self, words: list[str]) -> Iterator[tuple[str, ...]]:
        for place, opening in enumerate(pairwise(words)):
            for length in self._sentence_lengths.get(opening, ()):
                sentence = tuple(words[place : place + length])
                if sentence in self._first_seq:
                    yield sentence


def _split(text: str) -> tuple[list[list[str]], set[str]]:
    """Returns the words of each sentence of a text, and the set of all its words."""
    found = [_words(sentence) for sentence in sentences(text)]
    return found, {word for words in found for word in words}


def _openings(text: str, word_lists: list[list[str]]) -> Iterator[tuple[str, ...]]:
    """Yields the first words of each sentence that is long enough to be compared."""
    for words in word_lists:
        wide = 0 if text.isascii() else sum(map(bool, map(_WIDE.match, words)))
        length = sum(map(len, words)) + len(words) - 1 - wide
        if len(words) > 1 and (length >= SHORTEST_SENTENCE or 2 * wide >= SHORTEST_SENTENCE):
            yield tuple(words[:SENTENCE_WORDS])


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text))


def _triples(words: list[str]) -> Iterator[str]:
    """Yields all sequences of three Chinese, Japanese or Korean characters."""
    for place in range(len(words) - 2):
        if len(words[place]) == 1 and not words[place].isascii():
            triple = "".join(words[place : place + 3])
            if len(triple) == _TRIPLE and _WIDE_RUN.fullmatch(triple):
                yield triple


def _is_code(word: str) -> bool:
    return len(word) >= SHORTEST_CODE and not word.isalpha() and not _YEAR.fullmatch(word)


def _is_specific(word: str) -> bool:
    return len(word) >= SHORTEST_WORD and word.isalpha() and word not in _STOPS and word not in _CALENDAR
