"""The items of a recall: pages, facts and quotes, with their scores and the signals of each score."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from memoryos.retrieval.excerpts import Span, excerpt_of

if TYPE_CHECKING:
    from memoryos.model import About, Knowledge, Page, Side, Utterance

__all__ = ["Quote", "RecalledKnowledge", "RecalledPage", "Signals"]


@dataclass(frozen=True, slots=True)
class Signals:
    """The contribution of each signal to a score; they sum to the score. Unit: standard deviations in the scope."""

    meaning: float = 0.0
    words: float = 0.0
    neighbours: float = 0.0
    speaker: float = 0.0
    session: float = 0.0
    time: float = 0.0
    recency: float = 0.0

    @property
    def segment(self) -> float:
        """Always 0. Deprecated: the ranking has no segment signal any more."""
        warnings.warn("Signals.segment is always 0 and will be removed", DeprecationWarning, stacklevel=2)
        return 0.0

    def total(self) -> float:
        """Returns the score, which is the sum of the signals."""
        return float(sum(asdict(self).values()))


@dataclass(frozen=True, slots=True)
class RecalledPage:
    """A page with the parts of its texts that a prompt shows: a recalled page, or a page of short-term memory.

    Attributes:
        page: The page.
        shown: The parts that a prompt shows, in the order of the text, the user's first. An utterance has one span, or
            the spans of its selected passages and of their headings. Never empty for a recalled page.
        score: Score of the best passage. Always 0 for a page of short-term memory.
        signals: The signals that sum to this score.
        cosine: Cosine of the query and the best passage, in [-1, 1]; 0 before the passage has a vector. Unlike
            scores, cosines can be compared between memories.
    """

    page: Page
    shown: tuple[Span, ...]
    score: float = 0.0
    signals: Signals = Signals()
    cosine: float = 0.0

    @property
    def sides(self) -> tuple[Side, ...]:
        """The speakers ("user", "assistant") whose text is shown at least in part, the user first."""
        return tuple(dict.fromkeys(span.side for span in self.shown))

    def text(self, side: Side) -> str:
        """Returns the shown text of one speaker, with "[…]" for each part that is left out; "" if nothing is shown.

        Args:
            side: The speaker: "user" or "assistant".
        """
        own = [span for span in self.shown if span.side == side]
        return excerpt_of(self.page, side, own) if own else ""


@dataclass(frozen=True, slots=True)
class RecalledKnowledge:
    """A recalled knowledge entry, its score, and the signals that sum to the score."""

    knowledge: Knowledge
    score: float
    signals: Signals

    @property
    def text(self) -> str:
        """The fact."""
        return self.knowledge.text

    @property
    def about(self) -> About:
        """Whether it describes the user or the assistant."""
        return self.knowledge.about

    @property
    def source_page_ids(self) -> tuple[str, ...]:
        """Ids of the pages that it was derived from."""
        return self.knowledge.source_page_ids


@dataclass(frozen=True, slots=True)
class Quote:
    """One of the best-matching utterances of the whole scope, the short-term window included.

    Attributes:
        utterance: The utterance.
        score: Score of the best passage of the utterance.
        cosine: Cosine of the query and the best passage, in [-1, 1].
        signals: The signals that sum to the score.
        span: The best passage; None for the whole utterance.
    """

    utterance: Utterance
    score: float
    cosine: float
    signals: Signals
    span: Span | None = None
