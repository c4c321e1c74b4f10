"""Packing: selects the ranked passages that fit into the requested number of pages or tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memoryos.model import SIDES
from memoryos.retrieval.prompt_lines import date_heading, line_tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from memoryos.model import Side

__all__ = ["Candidate", "PackedPage", "Packing", "PackingInput", "pack_pages", "pack_tokens"]

_BATCH = 64
"""Number of passages that are tried before those that no longer fit are removed from the remaining ones."""
MAX_UTTERANCE_TOKENS = 2_000
"""Of a longer utterance, ``pack_pages`` selects the best passages up to this size."""


class Candidate(NamedTuple):
    """One ranked passage.

    Attributes:
        seq: Position of its page in the log.
        side: Who says it.
        part: Its number in its utterance, from 0.
        row: Its index in the arrays of the ``Ranking``; candidates with lower rows come earlier in the log.
        score: Its score.
        tokens: Estimated tokens of its line in a prompt.
        seconds: POSIX time of its page.
    """

    seq: int
    side: Side
    part: int
    row: int
    score: float
    tokens: float
    seconds: float

    @property
    def heading(self) -> str:
        """The line with its date, which a prompt shows above it."""
        return date_heading(datetime.fromtimestamp(self.seconds, timezone.utc).date())


@dataclass(frozen=True, slots=True)
class PackedPage:
    """A selected page.

    Attributes:
        best: Its best-ranked passage.
        shown: The passages that a prompt shows, in log order; never empty.
    """

    best: Candidate
    shown: tuple[Candidate, ...]

    @property
    def seq(self) -> int:
        """Position of the page in the log."""
        return self.best.seq


@dataclass(frozen=True, slots=True)
class Packing:
    """The selected pages, and the estimated tokens that a prompt needs to show them, with date lines.

    Attributes:
        pages: The pages, best first.
        tokens: Estimated tokens.
    """

    pages: tuple[PackedPage, ...]
    tokens: float


@dataclass(frozen=True, slots=True)
class PackingInput:
    """All n passages of a scope, in log order, and the ranked ones among them.

    Attributes:
        order: ``int64[k]``: indices of the ranked passages, best first.
        scores: ``float32[n]``: the score of each passage.
        seqs: ``int64[n]``: position in the log of each passage's page; ascending.
        sides: ``int8[n]``: index into ``SIDES``.
        parts: ``int32[n]``: the number of the passage in its utterance, from 0.
        tokens: ``float32[n]``: estimated tokens of its line in a prompt.
        seconds: ``float64[n]``: POSIX time of its page.
        window_seq: Position of the first page of the short-term window. The prompt contains the window anyway, so
            its pages are not packed.
    """

    order: NDArray[np.int64]
    scores: NDArray[np.float32]
    seqs: NDArray[np.int64]
    sides: NDArray[np.int8]
    parts: NDArray[np.int32]
    tokens: NDArray[np.float32]
    seconds: NDArray[np.float64]
    window_seq: int

    def best_of_utterances(self, count: int) -> list[Candidate]:
        """Returns the best passage of each of the ``count`` best utterances, including those of the window."""
        best: dict[tuple[int, Side], Candidate] = {}
        for candidate in self.candidates(self.order):
            best.setdefault((candidate.seq, candidate.side), candidate)
            if len(best) == count:
                break
        return list(best.values())

    def outside_window(self) -> NDArray[np.int64]:
        """Returns the part of ``order`` that may be packed."""
        return self.order[self.seqs[self.order] < self.window_seq]

    def candidates(self, rows: NDArray[np.int64]) -> Iterator[Candidate]:
        """Yields the passages with these indices, in this order."""
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            columns = (
                self.seqs[batch],
                self.sides[batch],
                self.parts[batch],
                batch,
                self.scores[batch],
                self.tokens[batch],
                self.seconds[batch],
            )
            for seq, side, part, row, score, tokens, seconds in zip(*(each.tolist() for each in columns), strict=True):
                yield Candidate(seq, SIDES[side], part, row, score, tokens, seconds)

    def passages_of(self, seq: int) -> tuple[Candidate, ...]:
        """Returns all passages of a page, ranked or not, in log order."""
        first, end = self.seqs.searchsorted([seq, seq + 1])
        return tuple(self.candidates(np.arange(first, end)))


def pack_pages(source: PackingInput, max_pages: int, *, exclude: Collection[int] = ()) -> Packing:
    """Selects the best pages and shows all their utterances, but only the best passages of very long utterances.

    Args:
        source: The ranked passages.
        max_pages: Number of pages, at least 1.
        exclude: Log positions of pages that are not selected.
    """
    best: dict[int, Candidate] = {}
    for candidate in source.candidates(source.outside_window()):
        if candidate.seq in best or candidate.seq in exclude:
            continue
        best[candidate.seq] = candidate
        if len(best) == max_pages:
            break
    pages = tuple(PackedPage(each, _shortened(source.passages_of(each.seq))) for each in best.values())
    counter = _TokenCounter()
    return Packing(pages, sum(counter.add(candidate) for page in pages for candidate in page.shown))


def _shortened(passages: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Returns the passages of a page without the worst ones of utterances above ``MAX_UTTERANCE_TOKENS``."""
    if sum(each.tokens for each in passages) <= MAX_UTTERANCE_TOKENS:
        return passages
    used = dict.fromkeys(SIDES, 0.0)
    kept: list[Candidate] = []
    for each in sorted(passages, key=lambda each: -each.score):
        if used[each.side] + each.tokens <= MAX_UTTERANCE_TOKENS:
            used[each.side] += each.tokens
            kept.append(each)
    return _in_log_order(kept)


def pack_tokens(source: PackingInput, max_tokens: int, max_pages: int | None = None) -> Packing:
    """Selects the best passages whose lines fit into a token budget.

    Passages are tried in rank order. One that does not fit is skipped, and a later, shorter one may still fit. The
    line with the date is counted once for each date.

    Args:
        source: The ranked passages.
        max_tokens: Budget in estimated tokens.
        max_pages: Maximum number of pages; None: no limit.
    """
    shown: dict[int, list[Candidate]] = {}
    counter = _TokenCounter()
    used = 0.0
    remaining = source.outside_window()
    while len(remaining):
        for candidate in source.candidates(remaining[:_BATCH]):
            is_full = max_pages is not None and candidate.seq not in shown and len(shown) == max_pages
            if is_full or used + counter.price(candidate) > max_tokens:
                continue
            used += counter.add(candidate)
            shown.setdefault(candidate.seq, []).append(candidate)
        remaining = remaining[_BATCH:]
        remaining = remaining[source.tokens[remaining] <= np.float64(max_tokens - used)]
    return Packing(tuple(PackedPage(each[0], _in_log_order(each)) for each in shown.values()), used)


def _in_log_order(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda each: each.row))


class _TokenCounter:
    """Counts the tokens of lines, and those of each date line once."""

    def __init__(self) -> None:
        self._headings: set[str] = set()

    def price(self, candidate: Candidate) -> float:
        """Returns the tokens that showing a passage would add."""
        heading = candidate.heading
        return candidate.tokens + (0.0 if heading in self._headings else line_tokens(heading))

    def add(self, candidate: Candidate) -> float:
        """Counts a passage as shown and returns the tokens that it adds."""
        price = self.price(candidate)
        self._headings.add(candidate.heading)
        return price
