"""Pydantic models of the JSON that a recall returns over REST and on the command line."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_serializer

from memoryos.doors.shapes import Knowledge, Profile, Shape, Time

if TYPE_CHECKING:
    from memoryos.retrieval import recall as found

__all__ = [
    "ExplainedRecall",
    "Recall",
    "RecalledKnowledge",
    "RecalledPage",
    "ShortTermPage",
    "Signals",
    "Span",
]


class Signals(Shape):
    """The parts of a score, one for each ranking signal.

    Examples of signals are `meaning` (similar meaning) and `words` (words that a text shares with the query). The unit
    of each part is one standard deviation of its signal over all texts of the memory.
    """

    meaning: float
    words: float
    neighbours: float
    speaker: float
    session: float
    segment: float = Field(default=0.0, deprecated=True, description="Always 0; deprecated.")
    time: float
    recency: float

    @field_serializer("*")
    def _round(self, value: float) -> float:
        return round(value, 4)


class Span(Shape):
    """A recalled part of a page, as offsets in characters."""

    side: Literal["user", "assistant"]
    start: int
    end: int = Field(description="Offset after the last character.")


class RecalledPage(Shape):
    """A page that a recall found, with its score."""

    page_id: str
    at: Time
    score: float
    signals: Signals
    shown: dict[str, str] = Field(
        description='Recalled texts, under the keys user and assistant. "[…]" stands for omitted parts.'
    )
    spans: list[Span] = Field(description="The recalled parts of the page's texts, in the order of the text.")
    speakers: dict[str, str] = Field(description="Names of the speakers, under the same keys as the texts.")

    @classmethod
    def of(cls, recalled: found.RecalledPage) -> RecalledPage:
        """Converts a recalled page to the JSON model. Texts of the page that were not recalled are left out."""
        page = recalled.page
        return cls(
            page_id=page.page_id,
            at=page.local_at,
            score=recalled.score,
            signals=Signals(**asdict(recalled.signals)),
            shown={side: recalled.text(side) for side in recalled.sides},
            spans=[Span.model_validate(span) for span in recalled.shown],
            speakers={side: page.speaker(side) for side in recalled.sides},
        )


class RecalledKnowledge(Knowledge):
    """A fact that a recall found, with its score."""

    score: float
    signals: Signals

    @classmethod
    def of(cls, recalled: found.RecalledKnowledge) -> RecalledKnowledge:
        """Converts a recalled fact to the JSON model."""
        entry = Knowledge.model_validate(recalled.knowledge)
        return cls(**dict(entry), score=recalled.score, signals=Signals(**asdict(recalled.signals)))


class ShortTermPage(Shape):
    """One of the newest pages, which form the short-term window."""

    page_id: str
    at: Time
    user: str = Field(description="The whole text.")
    assistant: str = Field(description="The whole text.")
    shown: dict[str, str] = Field(
        description='Texts in the prompt, under the keys user and assistant. "[…]" stands for omitted parts.'
    )
    spans: list[Span] = Field(description="The parts of the page's texts in the prompt, in the order of the text.")
    speakers: dict[str, str] = Field(description="Names of the speakers, under the same keys as the texts.")

    @classmethod
    def of(cls, shown: found.RecalledPage) -> ShortTermPage:
        """Converts a page of the short-term window to the JSON model."""
        page = shown.page
        return cls(
            page_id=page.page_id,
            at=page.local_at,
            user=page.user_text,
            assistant=page.assistant_text,
            shown={side: shown.text(side) for side in shown.sides},
            spans=[Span.model_validate(span) for span in shown.shown],
            speakers={side: page.speaker(side) for side in page.speaking()},
        )


class Recall(Shape):
    """The memory that was found for a query: pages, facts, the profile and the newest pages."""

    query: str
    tokens: int = Field(description="Estimated number of tokens of the recalled pages in a prompt.")
    pages: list[RecalledPage] = Field(description="Best first, without the pages of the short-term window.")
    knowledge: list[RecalledKnowledge]
    profile: Profile
    short_term: list[ShortTermPage] = Field(description="The newest pages, oldest first; independent of the query.")

    @classmethod
    def of(cls, recall: found.Recall) -> Recall:
        """Converts a recall result to the JSON model."""
        return cls(**_recalled(recall))


class ExplainedRecall(Recall):
    """The memory that was found for a query, as data and as prompt text.

    It also contains the near misses: the next best pages, which the limits of the recall excluded.
    """

    near_misses: list[RecalledPage] = Field(description="The next best pages, up to the requested number.")
    flagged_page_ids: list[str] = Field(description="Ids of recalled pages that look like instructions to a model.")
    prompt: str = Field(description="The profile, the facts and the pages as prompt text.")

    @classmethod
    def of(cls, recall: found.Recall) -> ExplainedRecall:
        """Converts a recall result, including its near misses, to the JSON model."""
        return cls(
            **_recalled(recall),
            near_misses=[RecalledPage.of(each) for each in recall.near_misses],
            flagged_page_ids=list(recall.flagged),
            prompt=recall.to_prompt(),
        )


def _recalled(recall: found.Recall) -> dict[str, Any]:
    return {
        "query": recall.query,
        "tokens": recall.tokens,
        "pages": [RecalledPage.of(each) for each in recall.pages],
        "knowledge": [RecalledKnowledge.of(each) for each in recall.knowledge],
        "profile": Profile.model_validate(recall.profile),
        "short_term": [ShortTermPage.of(each) for each in recall.shown_short_term()],
    }
