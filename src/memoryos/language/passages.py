"""Cuts an utterance into passages: the pieces of up to 120 tokens that are embedded, ranked and shown.

A passage consists of neighbouring sentences, list items, table rows or lines of code. It repeats the headings above
it. Passages are not stored: this module (the cutter) derives them from the text whenever they are needed. So if its
result changes, ``CUTTER`` needs a new name.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, NamedTuple

from memoryos.language.text import sentence_ends
from memoryos.language.tokens import CJK

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CUTTER", "MAX_EMBEDDED_PASSAGES", "Passage", "cut_passages", "passage_texts", "vector_model"]

CUTTER = "passages-1"
"""Version of the cutter. It is stored with every vector, so that outdated vectors are found and computed again."""
MAX_PASSAGE_TOKENS = 120
"""Longest passage with its headings. Any embedder that reads 256 tokens reads it to its end."""
MIN_PASSAGE_TOKENS = 40
"""A passage of at least this size ends at the next list item, paragraph or line."""
MIN_SENTENCES_TOKENS = 80
"""A passage of at least this size ends at the next sentence."""
MIN_INTRODUCTION_TOKENS = 20
"""A passage shorter than this does not end before a heading, and is joined to the passage before it if possible."""
MAX_HEADING_TOKENS = 20
"""A line longer than this is never a heading."""
MAX_EMBEDDED_PASSAGES = 64
"""Only the first 64 passages of an utterance (about 4,000 words) have vectors; word search covers the others."""

_LONG_TEXT = 20_000
"""The passages of longer texts, in characters, have a smaller cache."""
_ALWAYS_SHORT = 120
_ALWAYS_SHORT_ASCII = 240
"""Texts of up to this many characters are one passage, whatever the characters are."""
_HEAVY = re.compile(r"[^\w\s]|[^\0-\u024f\u1e00-\u1eff\s]")
"""Characters that count half a token: punctuation, and letters of other scripts than Latin."""
_CJK = re.compile(f"[{CJK}]")
_LINE = re.compile(r"[^\n]+")
_LIST_ITEM = re.compile(r"[-*+•–]\s|\d{1,3}[.)]\s|[①-⑳]")
_SECTION = re.compile(r"#{1,6}\s")
_BOLD = re.compile(r"\*\*[^*]+\*\*:?\Z")
_RULE = frozenset("-|: ")
"""Characters of the line below the header of a table."""
_WORD = re.compile(r"[^\s，、；]{1,60}[，、；]{0,9}|[，、；]{1,60}")
_COLONS = (":", "：", ":**", "**:", "：**")
_FENCES = ("```", "~~~")


def vector_model(embedder_name: str) -> str:
    """Returns the name under which vectors of an embedder are stored, for example "all-MiniLM-L6-v2/passages-1".

    The name includes the version of the cutter. So after a change of the cutter, all pages are embedded again, as after
    a change of the embedder.
    """
    return f"{embedder_name}/{CUTTER}"


class Passage(NamedTuple):
    """A passage of an utterance, as offsets in its text.

    Attributes:
        start: Offset of its first character.
        end: Offset after its last character.
        headings: Start and end of each heading that it repeats, in order; all are before ``start``.
    """

    start: int
    end: int
    headings: tuple[tuple[int, int], ...] = ()

    def spans(self) -> tuple[tuple[int, int], ...]:
        """Returns the start and end of each part of the text that belongs to the passage, in order."""
        return (*self.headings, (self.start, self.end))

    def text(self, utterance: str) -> str:
        """Returns the text to embed and to search: the headings and the passage, each on a line of its own."""
        return "\n".join(utterance[start:end] for start, end in self.spans())


def cut_passages(text: str) -> tuple[Passage, ...]:
    """Returns the passages of an utterance in order; at least one. A text of up to 120 tokens is one passage.

    Each character except white space is between ``start`` and ``end`` of exactly one passage. Headings are also
    repeated in the passages below them. Takes linear time. The passages of recent texts are cached.
    """
    if _is_short(text):
        return (Passage(0, len(text)),)
    cut = _cut_cached if len(text) <= _LONG_TEXT else _cut_long_cached
    return cut(_CacheKey(text))


class _CacheKey:
    """Digest of a text. The cache does not keep the text itself, so that no forgotten text stays in memory."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CacheKey) and self.digest == other.digest


def _cut(key: _CacheKey) -> tuple[Passage, ...]:
    text, key.text = key.text, ""
    packer = _Packer()
    for unit in _units(text):
        packer.add(unit)
    return tuple(packer.finish()) or (Passage(0, len(text)),)


_cut_cached = lru_cache(maxsize=1_024)(_cut)
_cut_long_cached = lru_cache(maxsize=32)(_cut)


def passage_texts(text: str) -> list[str]:
    """Returns the texts of all passages of an utterance, headings included, in order."""
    return [text] if _is_short(text) else [passage.text(text) for passage in cut_passages(text)]


def _is_short(text: str) -> bool:
    """Returns whether a text is one passage."""
    length = len(text)
    if length <= _ALWAYS_SHORT or (length <= _ALWAYS_SHORT_ASCII and text.isascii()):
        return True
    return length <= 4 * MAX_PASSAGE_TOKENS and _tokens(text) <= MAX_PASSAGE_TOKENS


class _Heading(NamedTuple):
    """The offsets of a heading, and its size in tokens."""

    start: int
    end: int
    tokens: float


class _Unit(NamedTuple):
    """A piece of text that is never cut.

    Attributes:
        start: Offset of its first character.
        end: Offset after its last character.
        tokens: Its size.
        begins: What begins at ``start``: a heading, a line, a sentence, or only a word.
        headings: The headings above it.
    """

    start: int
    end: int
    tokens: float
    begins: int
    headings: tuple[_Heading, ...]


_WORDS, _SENTENCES, _LINES, _HEADINGS = range(4)


class _Packer:
    """Joins neighbouring units to passages."""

    def __init__(self) -> None:
        self._done: list[Passage] = []
        self._sizes: list[float] = []
        self._open: Passage | None = None
        self._tokens = 0.0
        self._has_text = False

    def add(self, unit: _Unit) -> None:
        """Adds the next unit to the open passage, or to a new one."""
        if self._open is None or self._ends_before(self._open, unit):
            self._close()
            self._open = Passage(unit.start, unit.end, tuple(each[:2] for each in unit.headings))
            self._tokens = unit.tokens + sum(each.tokens for each in unit.headings)
            self._has_text = unit.begins != _HEADINGS
            return
        self._tokens += _gap_tokens(self._open, unit) + unit.tokens
        self._open = self._open._replace(end=unit.end)
        self._has_text = self._has_text or unit.begins != _HEADINGS

    def finish(self) -> list[Passage]:
        """Returns all passages."""
        self._close()
        return self._done

    def _ends_before(self, passage: Passage, unit: _Unit) -> bool:
        if self._tokens + _gap_tokens(passage, unit) + unit.tokens > MAX_PASSAGE_TOKENS:
            return True
        if not self._has_text:
            return False  # a heading stays with the text below it
        limits = {_HEADINGS: MIN_INTRODUCTION_TOKENS, _LINES: MIN_PASSAGE_TOKENS, _SENTENCES: MIN_SENTENCES_TOKENS}
        return self._tokens >= limits.get(unit.begins, MAX_PASSAGE_TOKENS)

    def _close(self) -> None:
        if self._open is None:
            return
        joined = MAX_PASSAGE_TOKENS + 1.0
        if self._done and self._tokens < MIN_INTRODUCTION_TOKENS:
            joined = self._sizes[-1] + _gap_tokens(self._done[-1], self._open) + self._tokens
        if joined <= MAX_PASSAGE_TOKENS:
            self._done[-1], self._sizes[-1] = self._done[-1]._replace(end=self._open.end), joined
        else:
            self._done.append(self._open)
            self._sizes.append(self._tokens)
        self._open = None


class _Line(NamedTuple):
    """A line with text, without white space around it."""

    start: int
    end: int
    text: str
    is_code: bool


def _units(text: str) -> Iterator[_Unit]:
    """Yields the units of a text in order, each with the headings above it."""
    section: tuple[_Heading, ...] = ()
    title: tuple[_Heading, ...] = ()
    is_title_of_list = False
    lines = _lines(text)
    for line, following in zip_longest(lines, lines[1:]):
        heading = _Heading(line.start, line.end, _tokens(line.text))
        kind = _heading_kind(line, following) if heading.tokens <= MAX_HEADING_TOKENS else None
        if kind == "section":
            yield _Unit(*heading, _HEADINGS, ())
            section, title = (heading,), ()
        elif kind is not None:
            yield _Unit(*heading, _HEADINGS, section)
            title, is_title_of_list = (heading,), kind == "list"
        else:
            if is_title_of_list and not _is_listed(line):
                title = ()
            yield from _units_of_line(line, heading.tokens, section + title)


def _lines(text: str) -> list[_Line]:
    found: list[_Line] = []
    is_code = False
    for match in _LINE.finditer(text):
        line = match.group().strip()
        if line:
            is_fence = line.startswith(_FENCES)
            start = match.start() + len(match.group()) - len(match.group().lstrip())
            found.append(_Line(start, start + len(line), line, is_code or is_fence))
            is_code ^= is_fence
    return found


def _heading_kind(line: _Line, following: _Line | None) -> Literal["section", "list", "part"] | None:
    """Returns the kind of a heading, or None if the line is not a heading.

    The kinds are "section", "list" (the heading of a list or table) and "part" (the heading of a part of a section).
    """
    if line.is_code or following is None:
        return None
    if _SECTION.match(line.text) or (line.text.startswith("【") and line.text.endswith("】")):
        return "section"
    if line.text.startswith("|"):
        return "list" if following.text.startswith("|") and _RULE.issuperset(following.text) else None
    if line.text.endswith(_COLONS) and _LIST_ITEM.match(following.text):
        return "list"
    return "part" if _BOLD.match(line.text) else None


def _is_listed(line: _Line) -> bool:
    """Returns whether a line is an item of a list or a row of a table."""
    return line.text.startswith("|") or _LIST_ITEM.match(line.text) is not None


def _units_of_line(line: _Line, tokens: float, headings: tuple[_Heading, ...]) -> Iterator[_Unit]:
    """Yields the units of a line: the whole line if it is short, otherwise its sentences.

    A sentence that is too long for a passage is split into its words.
    """
    if tokens <= MIN_PASSAGE_TOKENS:
        yield _Unit(line.start, line.end, tokens, _LINES, headings)
        return
    longest = MAX_PASSAGE_TOKENS - sum(each.tokens for each in headings)
    begins = _LINES
    for start, end in _sentence_spans(line.text):
        sentence = line.text[start:end]
        size = _tokens(sentence)
        pieces = [(start, end)] if size <= longest else [(start + at, start + to) for at, to in _word_spans(sentence)]
        for first, last in pieces:
            yield _Unit(line.start + first, line.start + last, _tokens(line.text[first:last]), begins, headings)
            begins = _WORDS
        begins = _SENTENCES


def _sentence_spans(line: str) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each sentence of a line, without white space around it."""
    start = 0
    for end in (*sentence_ends(line), len(line)):
        sentence = line[start:end]
        stripped = sentence.strip()
        if stripped:
            first = start + len(sentence) - len(sentence.lstrip())
            yield first, first + len(stripped)
        start = end


def _word_spans(sentence: str) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each word of a sentence; a word of more than 60 characters is cut."""
    return (match.span() for match in _WORD.finditer(sentence))


def _gap_tokens(passage: Passage, following: Passage | _Unit) -> float:
    """Returns the tokens of the white space between a passage and the piece of text that follows it."""
    return (following.start - passage.end) / 4


def _tokens(text: str) -> float:
    """Returns the estimated size of a text in tokens.

    A Latin letter, digit or space counts 0.25 tokens; punctuation and letters of other scripts 0.5; Chinese, Japanese
    and Korean characters 1. The estimate is high, because tokenizers of small embedding models need many tokens.
    """
    size = len(text) + len(_HEAVY.findall(text))
    return size / 4 if text.isascii() else (size + 2 * len(_CJK.findall(text))) / 4
