"""JSON models of the command line's ``--json`` output and of the REST API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, field_serializer

from memoryos.model import About, Level

if TYPE_CHECKING:
    from memoryos import model
    from memoryos.retrieval import recall as found
    from memoryos.updating.tier_views import SegmentContent

__all__ = [
    "Attribute",
    "Chain",
    "Change",
    "Cost",
    "ExplainedRecall",
    "Forgotten",
    "Knowledge",
    "Loaded",
    "Origin",
    "Page",
    "Profile",
    "Rebuilt",
    "Recall",
    "RecalledKnowledge",
    "RecalledPage",
    "Segment",
    "SegmentDetail",
    "Shape",
    "ShortTermPage",
    "Signals",
    "Stats",
    "Time",
    "Trait",
]

Time = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2023-05-08T13:56:00+00:00"]}),
]
"""A time in UTC, serialised in ISO 8601 with its offset."""


class Shape(BaseModel):
    """Base of the JSON models; ``model_validate`` reads the attributes of the domain object with the same names."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    def as_json(self) -> dict[str, Any]:
        """Returns the model as JSON-compatible values."""
        return self.model_dump(mode="json")


class Page(Shape):
    """One exchange of the page log."""

    page_id: str
    seq: int = Field(description="Position in the log, from 1.")
    at: Time = Field(description="When the exchange took place.")
    user_text: str
    assistant_text: str
    user_name: str | None
    assistant_name: str | None
    meta_data: dict[str, Any] = Field(validation_alias="metadata", description="Metadata supplied by the caller.")
    chain_id: str | None = Field(description="Chain of the page; null before consolidation.")
    segment_id: str | None = Field(description="Segment of the page; null before consolidation.")
    learned: bool = Field(description="Whether long-term memory was updated from this page.")


class Origin(Shape):
    """The analyst that derived an item, and the version of its prompt or rules."""

    analyst: str
    version: str


class Knowledge(Shape):
    """One fact about the user or the assistant."""

    knowledge_id: str
    about: About
    text: str
    recorded_at: Time
    valid_from: Time | None
    superseded_by: str | None = Field(description="Id of the fact that replaced this one; null while it is current.")
    archived_at: Time | None
    source_page_ids: list[str] = Field(description="Ids of the pages that state the fact, oldest first.")
    origin: Origin


class Chain(Shape):
    """Pages that continue the same dialogue, with one summary."""

    chain_id: str
    summary: str


class Segment(Shape):
    """Pages of one topic, with their current heat."""

    segment_id: str
    heat: float = Field(description="Current heat (Eq. 4 of Kang et al. 2025).")
    summary: str
    keywords: list[str]
    visits: int = Field(description="Recalls since long-term memory was last updated from the segment.")
    length: int = Field(description="Pages added since long-term memory was last updated from the segment.")
    page_count: int
    created_at: Time
    last_visited_at: Time
    archived_at: Time | None

    @classmethod
    def of(cls, segment: model.Segment, heat: float) -> Segment:
        """Returns the model of a segment with this heat."""
        return cls(
            segment_id=segment.segment_id,
            heat=heat,
            summary=segment.summary,
            keywords=sorted(segment.keywords),
            visits=segment.visits,
            length=segment.length,
            page_count=segment.page_count,
            created_at=segment.created_at,
            last_visited_at=segment.last_visited_at,
            archived_at=segment.archived_at,
        )


class SegmentDetail(Segment):
    """A segment with its chains and pages."""

    chains: list[Chain]
    pages: list[Page] = Field(description="Oldest first.")

    @classmethod
    def of_content(cls, content: SegmentContent) -> SegmentDetail:
        """Returns the model of a segment with its chains and pages."""
        return cls(
            **dict(Segment.of(content.segment, content.heat)),
            chains=[Chain.model_validate(each) for each in content.chains],
            pages=[Page.model_validate(each) for each in content.pages],
        )


class Attribute(Shape):
    """One attribute of the profile, for example the name or the home of the user."""

    name: str
    value: str
    source_page_ids: list[str]


class Trait(Shape):
    """The level of one of the 90 trait dimensions, with its evidence."""

    category: str
    dimension: str
    level: Level
    reason: str
    evidence_page_ids: list[str]


class Profile(Shape):
    """Attributes and traits of the user. Version 0 is the empty profile."""

    version: int
    attributes: list[Attribute]
    traits: list[Trait]


class Signals(Shape):
    """The contribution of each signal to a score, in standard deviations over the scope."""

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
    """A recalled page."""

    page_id: str
    at: Time
    score: float
    signals: Signals
    shown: dict[str, str] = Field(
        description='Recalled text by side (user, assistant); "[…]" stands for parts that are left out.'
    )
    spans: list[Span] = Field(description="The recalled parts of the page's texts, in the order of the text.")
    speakers: dict[str, str] = Field(description="Name of the speaker by side.")

    @classmethod
    def of(cls, recalled: found.RecalledPage) -> RecalledPage:
        """Converts a recalled page to its pydantic model, which contains only the recalled texts of the page."""
        page = recalled.page
        return cls(
            page_id=page.page_id,
            at=page.at,
            score=recalled.score,
            signals=Signals(**asdict(recalled.signals)),
            shown={side: recalled.text(side) for side in recalled.sides},
            spans=[Span.model_validate(span) for span in recalled.shown],
            speakers={side: page.speaker(side) for side in recalled.sides},
        )


class RecalledKnowledge(Knowledge):
    """A recalled fact."""

    score: float
    signals: Signals

    @classmethod
    def of(cls, recalled: found.RecalledKnowledge) -> RecalledKnowledge:
        """Converts a recalled fact to its pydantic model."""
        entry = Knowledge.model_validate(recalled.knowledge)
        return cls(**dict(entry), score=recalled.score, signals=Signals(**asdict(recalled.signals)))


class ShortTermPage(Shape):
    """A page of the short-term window."""

    page_id: str
    at: Time
    user: str = Field(validation_alias="user_text")
    assistant: str = Field(validation_alias="assistant_text")


class Recall(Shape):
    """The context recalled for a query, with the signals of each item."""

    query: str
    tokens: int = Field(description="Estimated tokens of the recalled pages in a prompt.")
    pages: list[RecalledPage] = Field(description="Best first, without the pages of the short-term window.")
    knowledge: list[RecalledKnowledge]
    profile: Profile
    short_term: list[ShortTermPage] = Field(description="The newest pages, oldest first; independent of the query.")

    @classmethod
    def of(cls, recall: found.Recall) -> Recall:
        """Returns the model of a recall."""
        return cls(**_recalled(recall))


class ExplainedRecall(Recall):
    """A recall with its prompt text and with the next best pages, which did not fit the limits."""

    near_misses: list[RecalledPage] = Field(description="The next best pages, up to the requested number.")
    flagged_page_ids: list[str] = Field(description="Recalled pages that look like instructions to a model.")
    prompt: str = Field(description="The context as prompt text: profile, knowledge, pages.")

    @classmethod
    def of(cls, recall: found.Recall) -> ExplainedRecall:
        """Returns the model of a recall with its near misses."""
        return cls(
            **_recalled(recall),
            near_misses=[RecalledPage.of(each) for each in recall.near_misses],
            flagged_page_ids=list(recall.flagged),
            prompt=recall.to_prompt(),
        )


class Cost(Shape):
    """Calls and tokens of one model for one purpose on one day."""

    day: date
    purpose: str
    model: str
    calls: int
    failed_calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @field_serializer("seconds")
    def _round(self, value: float) -> float:
        return round(value, 3)


class Forgotten(Shape):
    """The receipt of a forget call: ids of the items that were deleted, or would be, without their content."""

    at: Time
    dry_run: bool = Field(description="True for a preview, which deletes nothing.")
    page_ids: list[str]
    answer_page_ids: list[str] = Field(
        description="Pages whose answers were derived from the deleted items; only the answers are deleted."
    )
    echo_page_ids: list[str] = Field(description="Other pages that repeat a sentence or a code; they are kept.")
    knowledge_ids: list[str]
    attributes: list[str]
    traits: list[str]
    segments: int = Field(description="Number of segments whose summaries were deleted.")
    pages_due: int = Field(description="Number of pages that are consolidated again.")
    pages_reopened: int = Field(description="Number of pages from which long-term memory is updated again.")
    erased: bool = Field(
        description="Whether the deleted bytes were erased from the files. If false, this happens later."
    )
    remains: list[str] = Field(description="Copies that forgetting can't delete, as sentences.")


class Change(Shape):
    """An attribute or trait with its values before and after a rebuild."""

    name: str
    before: str | None
    after: str | None


class Rebuilt(Shape):
    """The changes that a rebuild makes to the tiers."""

    origin: Origin
    segments_before: int
    segments_after: int
    knowledge_kept: int
    knowledge_added: list[str]
    knowledge_removed: list[str]
    attributes: list[Change]
    traits: list[Change]
    applied: bool


class Loaded(Shape):
    """The result of an import."""

    pages: int = Field(description="Number of added pages.")
    known: int = Field(description="Number of skipped pages that the memory contained already.")
    forgotten: int = Field(description="Number of skipped pages that were forgotten in this memory.")
    tiers: bool = Field(description="Whether the tiers were imported too.")
    problems: list[str] = Field(description="Unreadable parts with their position, without content.")


class Stats(Shape):
    """The counts of every tier of one memory, and the due work."""

    user_id: str
    assistant_id: str
    embedder: str
    analyst: str
    pages: int
    short_term_pages: int
    pages_due: int = Field(description="Pages that left the short-term window and have no segment yet.")
    pages_without_vector: int
    segments: int
    segments_archived: int
    pages_learned: int
    knowledge_about_user: int
    knowledge_about_assistant: int
    knowledge_no_longer_current: int
    profile_version: int
    traits: int
    pages_provisional: int
    llm_calls: int
    llm_tokens: int
    analyst_failures: int
    last_error: str | None
    language_note: str | None = Field(
        description="Set if most of the newest pages are in languages that the embedding model does not support."
    )


def _recalled(recall: found.Recall) -> dict[str, Any]:
    return {
        "query": recall.query,
        "tokens": recall.tokens,
        "pages": [RecalledPage.of(each) for each in recall.pages],
        "knowledge": [RecalledKnowledge.of(each) for each in recall.knowledge],
        "profile": Profile.model_validate(recall.profile),
        "short_term": [ShortTermPage.model_validate(each) for each in recall.short_term],
    }
