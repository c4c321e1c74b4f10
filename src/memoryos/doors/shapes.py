"""Pydantic models of the JSON that the REST API and the command line option ``--json`` return."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, field_serializer

from memoryos.model import About, FactKind, FactStatus, Level

if TYPE_CHECKING:
    from memoryos import model
    from memoryos.updating.tier_views import SegmentContent

__all__ = [
    "Attribute",
    "Chain",
    "Change",
    "Cost",
    "Forgotten",
    "Knowledge",
    "Loaded",
    "Origin",
    "Page",
    "Profile",
    "Rebuilt",
    "Segment",
    "SegmentDetail",
    "Shape",
    "Stats",
    "Time",
    "Trait",
]

Time = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2023-05-08T13:56:00+00:00"]}),
]
"""A time, serialised in ISO 8601 with its offset: that of the sender for pages, otherwise UTC."""


class Shape(BaseModel):
    """Base class of the JSON models.

    ``model_validate(value)`` copies those attributes of ``value`` whose names are fields of the model.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    def as_json(self) -> dict[str, Any]:
        """Returns the model as JSON-compatible values."""
        return self.model_dump(mode="json")


class Page(Shape):
    """One stored exchange: a user message and the assistant's reply."""

    page_id: str
    seq: int = Field(description="Position of the page in the memory, from 1.")
    at: Time = Field(
        validation_alias="local_at", description="When the exchange took place, with the UTC offset of the sender."
    )
    user_text: str
    assistant_text: str
    user_name: str | None
    assistant_name: str | None
    meta_data: dict[str, Any] = Field(validation_alias="metadata", description="Metadata supplied by the caller.")
    chain_id: str | None = Field(description="Id of the page's chain; null before the page is read.")
    segment_id: str | None = Field(description="Id of the page's segment; null before the page is read.")
    learned: bool = Field(description="Whether facts were extracted from this page.")


class Origin(Shape):
    """The analyst (an LLM or the local rules) that derived an item, and the version of its prompt or rules."""

    analyst: str
    version: str


class Knowledge(Shape):
    """One fact about the user or the assistant."""

    knowledge_id: str
    about: About
    subject: str = Field(description="Whom the fact describes: `user`, `assistant`, or the name of another person.")
    kind: FactKind
    status: FactStatus | None = Field(description="Status of a plan, decision or promise.")
    text: str
    slot: str | None = Field(description="The attribute that the fact states, for example `home`.")
    value: str | None = Field(description="The value of this attribute.")
    stated_at: Time = Field(description="Time of the newest page that states the fact, or of the correction.")
    recorded_at: Time
    valid_from: Time | None
    valid_until: Time | None
    replaces: list[str] = Field(description="Ids of the facts that this fact replaces.")
    superseded_by: str | None = Field(description="Id of the fact that replaced this one or fills its slot, or null.")
    conflicts_with: list[str] = Field(description="Ids of current facts of the same time that contradict this one.")
    archived_at: Time | None
    source_page_ids: list[str] = Field(description="Ids of the pages that state the fact, oldest first.")
    origin: Origin


class Chain(Shape):
    """The summary of a chain, which is a series of pages that continue the same dialogue."""

    chain_id: str
    summary: str


class Segment(Shape):
    """A segment, which contains pages of one topic. Its heat shows how much and how recently it is used."""

    segment_id: str
    heat: float = Field(description="Current heat (Eq. 4 of Kang et al. 2025).")
    summary: str
    keywords: list[str]
    visits: int = Field(description="Number of recalls since long-term memory was last updated from the segment.")
    length: int = Field(description="Number of pages added since long-term memory was last updated from the segment.")
    page_count: int
    created_at: Time
    last_visited_at: Time
    archived_at: Time | None

    @classmethod
    def of(cls, segment: model.Segment, heat: float) -> Segment:
        """Converts a segment and its heat to the JSON model."""
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
    """A segment with its pages and their chains (pages that continue the same dialogue)."""

    chains: list[Chain]
    pages: list[Page] = Field(description="Oldest first.")

    @classmethod
    def of_content(cls, content: SegmentContent) -> SegmentDetail:
        """Converts a segment, its chains and its pages to the JSON model."""
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
    """The user's level in one of the 90 personality dimensions, with the pages that show it."""

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


class Cost(Shape):
    """The number of calls and tokens of one LLM on one day for one purpose, for example summaries."""

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
    """The result of a deletion: the ids of the deleted items, without their content.

    The result of a dry run contains the items that would be deleted.
    """

    at: Time
    dry_run: bool = Field(description="True for a preview, which deletes nothing.")
    page_ids: list[str]
    answer_page_ids: list[str] = Field(
        description="Ids of pages with an answer that was based on deleted items. Only the answer is deleted."
    )
    echo_page_ids: list[str] = Field(
        description="Ids of other pages that repeat a sentence or a code of deleted pages. They are kept."
    )
    knowledge_ids: list[str]
    attributes: list[str]
    traits: list[str]
    segments: int = Field(description="Number of segments whose summaries were deleted.")
    pages_due: int = Field(description="Number of pages that are read again.")
    pages_reopened: int = Field(description="Number of pages from which traits are inferred again.")
    erased: bool = Field(
        description="Whether the deleted bytes were erased from the database files. If false, they are erased later."
    )
    remains: list[str] = Field(description="Sentences about copies that forgetting can't delete, e.g. backups.")


class Change(Shape):
    """An attribute or trait with its values before and after a rebuild."""

    name: str
    before: str | None
    after: str | None


class Rebuilt(Shape):
    """The changes by a rebuild, which derives all segments, facts and the profile again from the stored pages."""

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
    """The result of an import: the numbers of added and skipped pages, and the problems."""

    pages: int = Field(description="Number of added pages.")
    known: int = Field(description="Number of skipped pages that the memory contained already.")
    forgotten: int = Field(description="Number of skipped pages that were forgotten in this memory.")
    tiers: bool = Field(description="Whether segments, facts and the profile were imported, too.")
    problems: list[str] = Field(description="Parts of the file that can't be read, with position, without content.")


class Stats(Shape):
    """The number of pages, segments, facts and traits of one memory, and the pages that wait for processing."""

    user_id: str
    assistant_id: str
    embedder: str
    analyst: str
    pages: int
    short_term_pages: int
    pages_due: int = Field(description="Pages that are due to be read.")
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
