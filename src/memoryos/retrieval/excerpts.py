"""Excerpts: the parts of a page that a recall shows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from memoryos.language.passages import cut_passages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memoryos.model import Page, Side

__all__ = ["LEFT_OUT", "Span", "excerpt_of", "pieces", "sorted_spans", "whole_page"]

LEFT_OUT = "[…]"
"""Stands for a part of an utterance that is left out."""
MIN_CUT = 480
"""Shorter spans are never cut."""
MAX_PIECES = 64
MAX_INDENT = 12
"""A passage counts as the beginning of a line if at most this many characters precede it in the line."""
_TEXT = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a page's text.

    Attributes:
        side: The speaker whose text it belongs to: "user" or "assistant".
        start: Offset of its first character in this text.
        end: Offset after its last character.
        score: Score of the best passage that contains it; 0 if it was not ranked.
    """

    side: Side
    start: int
    end: int
    score: float = field(default=0.0, compare=False)

    def overlaps(self, other: Span) -> bool:
        """Returns whether both spans contain a common character."""
        return self.side == other.side and self.start < other.end and other.start < self.end


def whole_page(page: Page) -> tuple[Span, ...]:
    """Returns one span for each utterance of a page, the user's first."""
    return tuple(Span(side, 0, len(page.text(side))) for side in page.speaking())


def pieces(page: Page, span: Span) -> tuple[Span, ...]:
    """Returns the first 64 passages inside a span, each with the score of the span.

    A span of up to ``MIN_CUT`` characters is returned unchanged.
    """
    if span.end - span.start <= MIN_CUT:
        return (span,)
    inside = (each for each in cut_passages(page.text(span.side)) if span.start <= each.start and each.end <= span.end)
    return tuple(Span(span.side, each.start, each.end, span.score) for each in islice(inside, MAX_PIECES))


def sorted_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Returns the spans in the order of the text, the user's first, without those that are inside other spans.

    Of spans with the same offsets, the one with the best score is kept. A span does not get the score of a span inside
    it: a passage that contains a heading does not match as well as the passages below this heading.
    """
    kept: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.side != "user", each.start, -each.end, -each.score)):
        if not kept or kept[-1].side != span.side or kept[-1].end < span.end:
            kept.append(span)
    return tuple(kept)


def excerpt_of(page: Page, side: Side, spans: Iterable[Span]) -> str:
    """Returns the text of some spans of an utterance, with "[…]" for each part that is left out.

    White space between two spans is kept, so that neighbouring passages read like the original.

    Args:
        page: The page.
        side: The speaker of the utterance: "user" or "assistant".
        spans: Spans of the page in the order of the text. Spans of the other speaker are ignored.
    """
    text = page.text(side)
    parts: list[str] = []
    done = 0
    for span in spans:
        start = max(span.start, done)
        if span.side != side or span.end <= start:
            continue
        if _TEXT.search(text, done, start) is None:
            parts.append(text[done:start])
        elif parts:
            begins_line = "\n" in text[max(done, start - MAX_INDENT) : start]
            parts.append(f" {LEFT_OUT}\n" if begins_line else f" {LEFT_OUT} ")
        else:
            parts.append(f"{LEFT_OUT} ")
        parts.append(text[start : span.end])
        done = span.end
    if _TEXT.search(text, done) is not None:
        parts.append(f" {LEFT_OUT}")
    return "".join(parts)
