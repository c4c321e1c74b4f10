"""Selection: which utterances and passages fill a budget of tokens."""

from __future__ import annotations

import heapq
from itertools import count as counter
from typing import TYPE_CHECKING, NamedTuple

from memoryos.language.ascii_words import ascii_words
from memoryos.language.passages import cut_passages
from memoryos.language.stop_words import TOPIC_STOP_WORDS_OF_UNKNOWN
from memoryos.language.text import content_words
from memoryos.retrieval.excerpts import Span, sorted_spans
from memoryos.retrieval.prompt_lines import date_heading, page_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from memoryos.model import Page, Side

__all__ = ["REPETITION_LOSS", "ScoredUtterance", "select"]

WHOLE_SHARE = 0.7
"""An utterance that needs at most this share of the budget is shown whole or not at all.

A longer utterance that does not fit is reduced to its best passages, which may use this share.
"""
REPETITION_LOSS = 2.0
"""Score, in standard deviations, that an utterance loses if all its content words are shown already.

Applies only to chats with an assistant. Assistants repeat themselves. People do so less, and in conversations between
people the loss costs recall (ADR 15).
"""
MAX_CHARACTERS_PER_TOKEN = 6.0
MIN_CHARACTERS_PER_TOKEN = 0.5
"""Assumed bounds for tokenizers and ordinary text. A text that can't fit by these bounds is skipped, not counted."""
MAX_CHARACTERS_PER_TOKEN_OF_PASSAGE = 8.0
"""The same upper bound for a single passage, in which longer words are more likely."""
MIN_EXCERPT_TOKENS = 10
"""Minimum number of tokens for which an excerpt of a long utterance is tried."""
MAX_READ = 4_000
"""Repeated words are counted only in the first characters of an utterance, up to this number."""


class ScoredUtterance(NamedTuple):
    """An utterance with its score.

    Attributes:
        page: Its page.
        side: The speaker: "user" or "assistant".
        score: Its score.
        passage_scores: The score of each of its passages, in order.
    """

    page: Page
    side: Side
    score: float
    passage_scores: Sequence[float]


def select(
    utterances: Sequence[ScoredUtterance],
    max_tokens: float,
    count_tokens: Callable[[str], float],
    *,
    max_pages: int | None = None,
    repetition_loss: float = 0.0,
) -> dict[str, tuple[Span, ...]]:
    """Returns the parts to show of each selected page, by page id, in the order of selection.

    The utterance with the best score is taken first. The score of every other utterance is then reduced in proportion
    to the share of its words that are shown already, because long conversations often repeat the same content. An
    utterance that does not fit is skipped, since a shorter one may still fit.

    Args:
        utterances: Utterances, best first.
        max_tokens: Budget in tokens, for the lines of the utterances and their dates.
        count_tokens: Counts the tokens of a text.
        max_pages: Maximum number of pages; None: no limit.
        repetition_loss: Score that an utterance loses if all its words are shown already.
    """
    selection = _Selection(max_tokens, count_tokens, max_pages)
    shown_words: set[str] = set()
    words: dict[int, frozenset[str]] = {}
    order = counter()
    heap = [(-each.score, next(order), each) for each in utterances]
    heapq.heapify(heap)
    while heap:
        loss, number, utterance = heapq.heappop(heap)
        if not selection.may_fit(utterance):
            continue
        if number not in words:
            words[number] = _content_words(utterance) if repetition_loss else frozenset()
        repeated = len(words[number] & shown_words) / max(1, len(words[number]))
        current = repetition_loss * repeated - utterance.score
        if heap and current > max(loss, heap[0][0]):  # losses only grow, so the next one may be better now
            heapq.heappush(heap, (current, number, utterance))
        elif selection.add(utterance):
            shown_words |= words[number]
    return selection.shown


def _content_words(utterance: ScoredUtterance) -> frozenset[str]:
    text = utterance.page.text(utterance.side)[:MAX_READ]
    words = ascii_words(text)
    return frozenset(content_words(text)) if words is None else frozenset(words) - TOPIC_STOP_WORDS_OF_UNKNOWN


class _Selection:
    """The selected parts, and the tokens that they need."""

    def __init__(self, max_tokens: float, count_tokens: Callable[[str], float], max_pages: int | None) -> None:
        self.shown: dict[str, tuple[Span, ...]] = {}
        self._max_tokens = max_tokens
        self._count_tokens = count_tokens
        self._max_pages = max_pages
        self._used = 0.0
        self._days: set[date] = set()

    def may_fit(self, utterance: ScoredUtterance) -> bool:
        """Returns False if the utterance can't fit, without counting its tokens. Otherwise returns True."""
        is_full = self._max_pages is not None and len(self.shown) >= self._max_pages
        if is_full and utterance.page.page_id not in self.shown:
            return False
        characters = len(utterance.page.text(utterance.side))
        left = self._max_tokens - self._used
        return characters / MAX_CHARACTERS_PER_TOKEN <= left or (
            left >= MIN_EXCERPT_TOKENS and characters / MIN_CHARACTERS_PER_TOKEN > WHOLE_SHARE * self._max_tokens
        )

    def add(self, utterance: ScoredUtterance) -> bool:
        """Adds an utterance or its best passages. Returns False if neither fits."""
        page, side = utterance.page, utterance.side
        spans: tuple[Span, ...] = (Span(side, 0, len(page.text(side)), utterance.score),)
        tokens = self._tokens(page, spans)
        allowed = self._max_tokens - self._used
        if tokens > allowed and tokens > WHOLE_SHARE * self._max_tokens:
            allowed = min(allowed, WHOLE_SHARE * self._max_tokens)
            spans = self._best_passages(utterance, allowed)
            tokens = self._tokens(page, spans)
        if not spans or tokens > allowed:
            return False
        self._used += tokens
        self._days.add(page.day)
        self.shown[page.page_id] = sorted_spans([*self.shown.get(page.page_id, ()), *spans])
        return True

    def _best_passages(self, utterance: ScoredUtterance, allowed: float) -> tuple[Span, ...]:
        page, side = utterance.page, utterance.side
        passages = zip(cut_passages(page.text(side)), utterance.passage_scores, strict=False)
        spans: tuple[Span, ...] = ()
        tokens = 0.0
        for passage, score in sorted(passages, key=lambda each: -each[1]):
            if tokens + (passage.end - passage.start) / MAX_CHARACTERS_PER_TOKEN_OF_PASSAGE > allowed:
                break
            tried = sorted_spans([*spans, *(Span(side, start, end, score) for start, end in passage.spans())])
            size = self._tokens(page, tried)
            if size <= allowed:
                spans, tokens = tried, size
        return spans

    def _tokens(self, page: Page, spans: Sequence[Span]) -> float:
        """Returns the tokens of the lines of one utterance. Its date line is included if it is not shown yet."""
        lines = page_lines(page, spans)
        if page.day not in self._days:
            lines.append(date_heading(page.day))
        return self._count_tokens("\n".join([*lines, ""]))
