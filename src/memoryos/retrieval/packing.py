"""Packing: selects the ranked passages that fit into the requested number of pages or tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from memoryos.model import SIDES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from memoryos.model import Side

__all__ = ["Candidate", "PackedPage", "PackingInput", "pack_pages", "shortened"]

_BATCH = 64
"""Number of rows that are read from the arrays together."""
OVERSELECTION = 3.0
MIN_UTTERANCES = 40
"""``utterances_for`` returns at least this many utterances, and at least ``OVERSELECTION`` times the token budget."""
MAX_UTTERANCE_TOKENS = 2_000
"""If an utterance is longer, its best passages up to this size are selected."""


class Candidate(NamedTuple):
    """One ranked passage.

    Attributes:
        seq: Position of its page in the log.
        side: The speaker: "user" or "assistant".
        part: The number of the passage in its utterance, from 0.
        row: Its index in the arrays of the ``Ranking``; candidates with lower rows come earlier in the log.
        score: Its score.
        tokens: Estimated tokens of its line in a prompt.
    """

    seq: int
    side: Side
    part: int
    row: int
    score: float
    tokens: float


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
class PackingInput:
    """All n passages of a scope, in log order, and the ranked ones among them.

    Attributes:
        order: ``int64[k]``: indices of the ranked passages, best first.
        scores: ``float32[n]``: the score of each passage.
        seqs: ``int64[n]``: for each passage, the log position of its page; ascending.
        sides: ``int8[n]``: index into ``SIDES``.
        parts: ``int32[n]``: the number of the passage in its utterance, from 0.
        tokens: ``float32[n]``: for each passage, the estimated tokens of its line in a prompt.
        window_seq: Position of the first page of the short-term window. Its pages are not packed: ``Recall`` selects
            the parts of them that a prompt shows.
    """

    order: NDArray[np.int64]
    scores: NDArray[np.float32]
    seqs: NDArray[np.int64]
    sides: NDArray[np.int8]
    parts: NDArray[np.int32]
    tokens: NDArray[np.float32]
    window_seq: int

    def best(self, count: int) -> list[Candidate]:
        """Returns the best passage of each of the ``count`` best utterances, including those of the window."""
        return list(self.candidates(self.order[:count]))

    def utterances_for(self, max_tokens: float) -> list[tuple[Candidate, tuple[Candidate, ...]]]:
        """Returns the best utterances, best first, each with all its passages.

        They are more than fit into the budget, because the caller skips utterances that do not fit or repeat others.
        """
        found: list[tuple[Candidate, tuple[Candidate, ...]]] = []
        tokens = 0.0
        for candidate in self.candidates(self.outside_window()):
            if len(found) >= MIN_UTTERANCES and tokens > OVERSELECTION * max_tokens:
                break
            passages = tuple(each for each in self.passages_of(candidate.seq) if each.side == candidate.side)
            tokens += min(max_tokens, sum(each.tokens for each in passages))
            found.append((candidate, passages))
        return found

    def outside_window(self) -> NDArray[np.int64]:
        """Returns the part of ``order`` whose pages precede the short-term window."""
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
            )
            for seq, side, part, row, score, tokens in zip(*(each.tolist() for each in columns), strict=True):
                yield Candidate(seq, SIDES[side], part, row, score, tokens)

    def passages_of(self, seq: int) -> tuple[Candidate, ...]:
        """Returns all passages of a page, ranked or not, in log order."""
        first, end = self.seqs.searchsorted([seq, seq + 1])
        return tuple(self.candidates(np.arange(first, end)))


def pack_pages(source: PackingInput, max_pages: int, *, exclude: Collection[int] = ()) -> tuple[PackedPage, ...]:
    """Returns the best pages, best first, with all their utterances.

    Very long utterances are reduced to their best passages (``MAX_UTTERANCE_TOKENS``).

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
    return tuple(PackedPage(each, shortened(source.passages_of(each.seq))) for each in best.values())


def shortened(passages: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Returns the passages of a page, in log order.

    The worst passages of an utterance that is longer than ``MAX_UTTERANCE_TOKENS`` are left out.
    """
    if sum(each.tokens for each in passages) <= MAX_UTTERANCE_TOKENS:
        return passages
    used = dict.fromkeys(SIDES, 0.0)
    kept: list[Candidate] = []
    for each in sorted(passages, key=lambda each: -each.score):
        if used[each.side] + each.tokens <= MAX_UTTERANCE_TOKENS:
            used[each.side] += each.tokens
            kept.append(each)
    return _in_log_order(kept)


def _in_log_order(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda each: each.row))
