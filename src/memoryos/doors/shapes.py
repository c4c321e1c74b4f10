"""What every door shows of the things that are remembered, as JSON: the command line's ``--json`` and the REST API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

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
"""A time in UTC, written with its offset."""


class Shape(BaseModel):
    """What stands for a value of the model outside of the program; reads it by its attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON-compatible values."""
        return self.model_dump(mode="json")


class Page(Shape):
    """One exchange."""

    page_id: str
    seq: int = Field(description="Its position in the log, from 1.")
    at: Time = Field(description="When the exchange took place.")
    user_text: str
    assistant_text: str
    user_name: str | None
    assistant_name: str | None
    meta_data: dict[str, Any] = Field(validation_alias="metadata", description="What the caller attached.")
    chain_id: str | None = Field(description="The chain it belongs to, once it is consolidated.")
    segment_id: str | None = Field(description="The segment it belongs to, once it is consolidated.")
    learned: bool = Field(description="Whether long-term memory has read it.")


class Origin(Shape):
    """Who derived a thing: the analyst and the version of its prompt or rules."""

    analyst: str
    version: str


class Knowledge(Shape):
    """One fact about the user or the assistant."""

    knowledge_id: str
    about: About
    text: str
    recorded_at: Time
    valid_from: Time | None
    superseded_by: str | None = Field(description="The entry that replaced it; null while it is current.")
    archived_at: Time | None
    source_page_ids: list[str] = Field(description="The pages that it was read in, oldest first.")
    origin: Origin


class Chain(Shape):
    """Pages that continue one another, with one summary."""

    chain_id: str
    summary: str


class Segment(Shape):
    """Pages of one topic, with their heat now."""

    segment_id: str
    heat: float = Field(description="Eq. 4, now.")
    summary: str
    keywords: list[str]
    visits: int = Field(description="Recalls since it was last learned from.")
    length: int = Field(description="Pages that joined since it was last learned from.")
    page_count: int
    created_at: Time
    last_visited_at: Time
    archived_at: Time | None

    @classmethod
    def of(cls, segment: model.Segment, heat: float) -> Segment:
        """Returns a segment with its heat."""
        return cls(**_told(segment, cls) | {"heat": heat, "keywords": sorted(segment.keywords)})


class SegmentDetail(Segment):
    """A segment with its chains and pages."""

    chains: list[Chain]
    pages: list[Page] = Field(description="Oldest first.")

    @classmethod
    def of_content(cls, content: SegmentContent) -> SegmentDetail:
        """Returns a segment with all that is in it."""
        return cls(
            **dict(Segment.of(content.segment, content.heat)),
            chains=[Chain.model_validate(each) for each in content.chains],
            pages=[Page.model_validate(each) for each in content.pages],
        )


class Attribute(Shape):
    """One static fact of the profile."""

    name: str
    value: str
    source_page_ids: list[str]


class Trait(Shape):
    """One of the 90 dimensions, as far as the words support it."""

    category: str
    dimension: str
    level: Level
    reason: str
    evidence_page_ids: list[str]


class Profile(Shape):
    """What is known of the user. Version 0 is the empty one."""

    version: int
    attributes: list[Attribute]
    traits: list[Trait]


class Signals(Shape):
    """What each signal added to a score, in standard deviations of the scope."""

    meaning: float
    words: float
    neighbours: float
    speaker: float
    session: float
    segment: float = Field(default=0.0, deprecated=True, description="Always 0; deprecated.")
    time: float

    @field_serializer("*")
    def _round(self, value: float) -> float:
        return round(value, 4)


class RecalledPage(Shape):
    """A page that retrieval found."""

    page_id: str
    at: Time
    score: float
    signals: Signals
    shown: dict[str, str] = Field(description="What is shown of it, by side.")
    speakers: dict[str, str] = Field(description="Who speaks, by side.")

    @classmethod
    def of(cls, recalled: found.RecalledPage) -> RecalledPage:
        """Returns a recalled page with the sides that are shown."""
        page = recalled.page
        return cls(
            page_id=page.page_id,
            at=page.at,
            score=recalled.score,
            signals=Signals(**asdict(recalled.signals)),
            shown={side: page.text(side) for side in recalled.shown},
            speakers={side: page.speaker(side) for side in recalled.shown},
        )


class RecalledKnowledge(Knowledge):
    """A fact that retrieval found."""

    score: float
    signals: Signals

    @classmethod
    def of(cls, recalled: found.RecalledKnowledge) -> RecalledKnowledge:
        """Returns a recalled fact."""
        entry = Knowledge.model_validate(recalled.knowledge)
        return cls(**dict(entry), score=recalled.score, signals=Signals(**asdict(recalled.signals)))


class ShortTermPage(Shape):
    """A page of the short-term window."""

    page_id: str
    at: Time
    user: str = Field(validation_alias="user_text")
    assistant: str = Field(validation_alias="assistant_text")


class Recall(Shape):
    """What is remembered for a query, with the reason for each item."""

    query: str
    tokens: int = Field(description="Estimated tokens of the pages as a prompt shows them.")
    pages: list[RecalledPage] = Field(description="Best first; none of them is in the short-term window.")
    knowledge: list[RecalledKnowledge]
    profile: Profile
    short_term: list[ShortTermPage] = Field(description="The newest pages, oldest first, whatever the query.")

    @classmethod
    def of(cls, recall: found.Recall) -> Recall:
        """Returns what was recalled."""
        return cls(**_recalled(recall))


class ExplainedRecall(Recall):
    """What is remembered for a query, with what a prompt shows of it and what found no room in it."""

    near_misses: list[RecalledPage] = Field(description="The next best pages, as many as were asked for.")
    flagged_page_ids: list[str] = Field(description="Shown pages that read like instructions to a model.")
    prompt: str = Field(description="The context as text: profile, knowledge, pages.")

    @classmethod
    def of(cls, recall: found.Recall) -> ExplainedRecall:
        """Returns what was recalled."""
        return cls(
            **_recalled(recall),
            near_misses=[RecalledPage.of(each) for each in recall.near_misses],
            flagged_page_ids=list(recall.flagged),
            prompt=recall.to_prompt(),
        )


class Cost(Shape):
    """What calls of a model cost on one day for one purpose."""

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
    """A receipt: what was forgotten, or would be, by its ids and without its content."""

    at: Time
    dry_run: bool = Field(description="Whether nothing was changed.")
    page_ids: list[str]
    answer_page_ids: list[str] = Field(description="Answers based on them went; the questions stay.")
    echo_page_ids: list[str] = Field(description="Other pages that repeat a sentence or a code; they stay.")
    knowledge_ids: list[str]
    attributes: list[str]
    traits: list[str]
    segments: int = Field(description="Segments whose summaries went.")
    pages_due: int = Field(description="Pages that are consolidated again.")
    pages_reopened: int = Field(description="Pages that are learned from again.")
    erased: bool = Field(description="Whether no byte of it is left in the files. If false, the erasing is due.")
    remains: list[str] = Field(description="What forgetting does not reach, in sentences.")


class Change(Shape):
    """A named thing that differs."""

    name: str
    before: str | None
    after: str | None


class Rebuilt(Shape):
    """What a rebuild makes of the tiers."""

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
    """What became of a file."""

    pages: int = Field(description="Pages that were added.")
    known: int = Field(description="Pages that were there already.")
    forgotten: int = Field(description="Pages that were forgotten here, and so stay forgotten.")
    tiers: bool = Field(description="Whether the tiers were read too.")
    problems: list[str] = Field(description="What could not be read, with its place, without content.")


class Stats(Shape):
    """Counts of every tier of one memory, and what waits to be done."""

    user_id: str
    assistant_id: str
    embedder: str
    analyst: str
    pages: int
    short_term_pages: int
    pages_due: int = Field(description="Pages that slid out of the short-term window and have no segment.")
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


def _told(value: Any, shape: type[Shape]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in shape.model_fields if hasattr(value, name)}


def _recalled(recall: found.Recall) -> dict[str, Any]:
    return {
        "query": recall.query,
        "tokens": recall.tokens,
        "pages": [RecalledPage.of(each) for each in recall.pages],
        "knowledge": [RecalledKnowledge.of(each) for each in recall.knowledge],
        "profile": Profile.model_validate(recall.profile),
        "short_term": [ShortTermPage.model_validate(each) for each in recall.short_term],
    }
