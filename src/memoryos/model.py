"""The value types of MemoryOS, e.g. page, segment and fact. They are frozen dataclasses without I/O.

Times are aware and in UTC, except `local_at`. Ids are UUIDv7 texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from memoryos.time_zones import local_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

__all__ = [
    "ABOUT",
    "ANSWERED_FROM",
    "CORRECTION",
    "RECORDS",
    "SHARED",
    "SIDES",
    "About",
    "Attribute",
    "Chain",
    "Cost",
    "FactKind",
    "FactStatus",
    "Knowledge",
    "Level",
    "Origin",
    "Page",
    "PageDraft",
    "Profile",
    "Scope",
    "Segment",
    "Side",
    "Trait",
    "Utterance",
]

Side = Literal["user", "assistant"]
"""The speaker of an utterance: the user or the assistant of a page."""
About = Literal["user", "assistant"]
"""Whom a fact describes: the user or the assistant."""
FactKind = Literal["fact", "preference", "event", "plan", "decision", "relation", "advice", "promise"]
"""What kind of statement a fact is."""
FactStatus = Literal["open", "paused", "done", "dropped"]
"""The status of a plan, decision or promise."""
Level = Literal["high", "medium", "low"]
"""The strength of a personality trait. ``traits90.json`` describes "high" and "low" for each of the 90 dimensions."""

SIDES: tuple[Side, Side] = ("user", "assistant")
ABOUT: tuple[About, About] = ("user", "assistant")
_AS_RECORDED = datetime.min.replace(tzinfo=timezone.utc)
ANSWERED_FROM = "answered_from"
"""Metadata key of a page: the ids of the pages on which the assistant's answer in this page is based."""
RECORDS = "memoryos-records/"
"""Prefix of the assistant id of scopes that contain records: values that a program stores under keys."""


def _no_metadata() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """The owner of a memory: one user with one assistant.

    Both ids are arbitrary texts. They are never used as file paths.
    """

    user_id: str
    assistant_id: str

    @property
    def holds_records(self) -> bool:
        """Whether this scope contains records: values that a program stores under keys. Records are not analysed."""
        return self.assistant_id.startswith(RECORDS)


@dataclass(frozen=True, slots=True)
class Utterance:
    """The user's or the assistant's text of a page, with its speaker and time.

    Utterances are the texts that are embedded and ranked.
    """

    page_id: str
    seq: int
    side: Side
    speaker: str
    text: str
    at: datetime
    utc_offset_minutes: int | None = None

    @property
    def local_at(self) -> datetime:
        """The time of the page in the zone of its sender; in UTC if the offset of this zone is not known."""
        return local_time(self.at, self.utc_offset_minutes)

    @property
    def day(self) -> date:
        """The day of the page in the zone of its sender."""
        return self.local_at.date()


@dataclass(frozen=True, slots=True)
class PageDraft:
    """A valid exchange of user and assistant that is not stored yet. The fields are described in ``Page``."""

    at: datetime
    user_text: str
    assistant_text: str
    user_name: str | None = None
    assistant_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=_no_metadata, hash=False)
    utc_offset_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One exchange between user and assistant: both texts and the time ({Q, R, T} in Eq. 1 of the paper).

    Attributes:
        page_id: UUIDv7 text.
        seq: Number of the page within the memory, in the order of storing: 1, 2, 3 and so on.
        at: Time of the exchange (aware, UTC).
        user_text: The user's text, verbatim; empty if only the assistant spoke.
        assistant_text: The assistant's text, verbatim; empty if only the user spoke.
        user_name: Name of the user in this page; None if unnamed.
        assistant_name: Name of the assistant in this page; None if unnamed.
        metadata: JSON-compatible values that the caller stored with the page.
        chain_id: Id of the page's chain, which is a series of pages on one subject; None before the page is read.
        segment_id: Id of the page's segment, which is the group of all pages on one topic; None before the page is
            read.
        profiled: Whether traits were inferred from this page, because its segment was hot.
        instruction_sides: Which texts look like an instruction to a model: 0 none, 1 the user's, 2 the assistant's,
            3 both. None for a page stored by an earlier release without this check.
        utc_offset_minutes: UTC offset of the time that the caller gave, in minutes. None if it is not known, and then
            treated as 0: the page was stored by an earlier release, or its time was given without a zone and no zone is
            configured.
        reading_id: Id of the reading in which an analyst has read the page. None before the page is read, and for pages
            that an earlier release assigned to segments.
    """

    page_id: str
    seq: int
    at: datetime
    user_text: str
    assistant_text: str
    user_name: str | None = None
    assistant_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=_no_metadata, hash=False)
    chain_id: str | None = None
    segment_id: str | None = None
    profiled: bool = False
    instruction_sides: int | None = None
    utc_offset_minutes: int | None = None
    reading_id: str | None = None

    @property
    def local_at(self) -> datetime:
        """The time of the exchange in the zone of its sender; in UTC if the offset of this zone is not known."""
        return local_time(self.at, self.utc_offset_minutes)

    @property
    def day(self) -> date:
        """The day of the exchange in the zone of its sender."""
        return self.local_at.date()

    @property
    def learned(self) -> bool:
        """Whether facts were extracted from this page."""
        return self.reading_id is not None or self.profiled

    def text(self, side: Side) -> str:
        """Returns the text of the user or of the assistant, as ``side`` selects; it may be empty."""
        return self.user_text if side == "user" else self.assistant_text

    def speaker(self, side: Side) -> str:
        """Returns the name of the user or of the assistant, as ``side`` selects.

        If the page contains no name for this speaker, the method returns "user" or "assistant".
        """
        name = self.user_name if side == "user" else self.assistant_name
        return name or side

    def speaking(self) -> tuple[Side, ...]:
        """Returns the speakers whose text in this page is not empty: "user", "assistant" or both, in this order."""
        return tuple(side for side in SIDES if self.text(side).strip())

    def utterances(self) -> tuple[Utterance, ...]:
        """Returns the texts of this page as utterances, the user's first. Empty texts are left out."""
        return tuple(map(self.utterance, self.speaking()))

    def utterance(self, side: Side) -> Utterance:
        """Returns the text of the user or of the assistant as an utterance, as ``side`` selects; it may be empty."""
        return Utterance(
            self.page_id, self.seq, side, self.speaker(side), self.text(side), self.at, self.utc_offset_minutes
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of derived data: the analyst that derived it, e.g. an LLM, and the version of its prompt or rules."""

    analyst: str
    version: str


CORRECTION = Origin("user", "correction")
"""Origin of facts that the user corrected."""
SHARED = Origin("shared", "1")
"""Origin of facts about the assistant that were copied from another memory. Their source pages are not copied."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Consecutive pages on one subject, with one summary ("meta" in Eq. 1 of the paper)."""

    chain_id: str
    summary: str


@dataclass(frozen=True, slots=True)
class Segment:
    """The group of all pages on one topic (Eq. 2 of the paper).

    Attributes:
        segment_id: UUIDv7 text.
        summary: Summary of the pages.
        keywords: K_s of Eq. 3: words that describe the topic.
        visits: N_visit of Eq. 4: number of recalls since traits were last inferred from the segment.
        length: L_interaction of Eq. 4: number of pages from which no traits were inferred yet.
        page_count: Number of all pages of the segment.
        last_visited_at: Time of the last recall or of the last added page.
        created_at: Time of the first page.
        archived_at: Time at which the segment was removed from mid-term memory; None while it is active. The pages of
            an archived segment stay stored but are not recalled.
    """

    segment_id: str
    summary: str
    keywords: frozenset[str]
    visits: int
    length: int
    page_count: int
    last_visited_at: datetime
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One fact: a statement about the user, the assistant or another person, with its source pages.

    Whether a fact is current is computed from all facts: see ``memoryos.current_facts``.

    Attributes:
        knowledge_id: UUID text. It is derived from the source page and the text, so reading a page again gives the same
            id.
        about: The side whose capacity the fact counts for: the user or the assistant.
        text: The fact as one sentence.
        recorded_at: Time at which the fact was stored.
        valid_from: Time from which the fact is true, if the conversation states one.
        superseded_by: Id of the fact that replaced this fact or now fills its slot; None if there is none. Computed.
        archived_at: Time at which the fact was archived because there were more facts than
            ``long_term_knowledge_capacity``, or because it was wrong or derived again; None while it is active.
            Archived facts are not recalled.
        source_page_ids: Ids of the pages from which the fact was extracted, oldest first.
        origin: The analyst that extracted the fact.
        subject: Whom the fact describes: "user", "assistant", or the name of another person. Default: ``about``.
        kind: What kind of statement the fact is.
        status: The status of a plan, decision or promise; None if unknown and for other kinds.
        slot: The slot that the fact fills (``memoryos.slots``); None for most facts.
        value: The value of the slot; None for a fact without a slot, and for one that removes any value of its slot.
        stated_at: Time of the newest source page, or of the correction by a user. Default: ``recorded_at``.
        valid_until: Time until which the fact is true, if the conversation states one.
        replaces: Ids of the facts that this fact replaces, as stated by an analyst or a user.
        conflicts_with: Ids of the current facts that were stated at the same time and can't be true together with this
            fact. Computed.
        reading_id: Id of the reading that extracted the fact; None for corrections and for facts of earlier releases.
    """

    knowledge_id: str
    about: About
    text: str
    recorded_at: datetime
    valid_from: datetime | None
    superseded_by: str | None
    archived_at: datetime | None
    source_page_ids: tuple[str, ...]
    origin: Origin
    subject: str = ""
    kind: FactKind = "fact"
    status: FactStatus | None = None
    slot: str | None = None
    value: str | None = None
    stated_at: datetime = _AS_RECORDED
    valid_until: datetime | None = None
    replaces: tuple[str, ...] = ()
    conflicts_with: tuple[str, ...] = ()
    reading_id: str | None = None

    def __post_init__(self) -> None:
        """Sets the defaults that depend on other fields."""
        if not self.subject:
            object.__setattr__(self, "subject", self.about)
        if self.stated_at is _AS_RECORDED:
            object.__setattr__(self, "stated_at", self.recorded_at)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of the user in the profile: a current slot, such as name, birth_date, gender, home or job.

    Attributes:
        name: Name of the slot. A multi-valued slot, such as allergy, gives one attribute for each value.
        value: Value of the attribute, in the user's words.
        source_page_ids: Ids of the pages that contain the value, oldest first.
    """

    name: str
    value: str
    source_page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trait:
    """A person's level in one of the 90 personality dimensions, with evidence. ``traits90.json`` lists the dimensions.

    Attributes:
        category: Category of the dimension, as in the file.
        dimension: Name of the dimension, as in the file. It is unique within the category.
        level: "high", "medium" or "low".
        reason: Reason for the level, in one sentence.
        evidence_page_ids: Ids of the pages that show the level, oldest first; never empty.
        subject: Whom the trait describes: "user", "assistant" or the name of another person.
    """

    category: str
    dimension: str
    level: Level
    reason: str
    evidence_page_ids: tuple[str, ...]
    subject: str = "user"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of all calls of one model on one day for one purpose.

    Attributes:
        day: The day in UTC.
        purpose: "read" (extracting topics and facts from pages), "profile" (inferring traits) or "answer" (answering a
            question). Earlier releases recorded "digest" and "learn".
        model: Name of the model.
        calls: Number of calls, including failed calls.
        failed_calls: Number of calls without a reply.
        prompt_tokens: Tokens of the prompts.
        completion_tokens: Tokens of the replies.
        seconds: Total duration of the calls.
    """

    day: date
    purpose: str
    model: str
    calls: int
    failed_calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @property
    def tokens(self) -> int:
        """Number of tokens of prompts and replies together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Profile:
    """The attributes and personality traits of a person, usually of the user.

    A version stores the traits; version 0 has none. The attributes are a view of the current facts with a slot.
    Versions of earlier releases also contain the attributes of their time.
    """

    version: int = 0
    attributes: tuple[Attribute, ...] = ()
    traits: tuple[Trait, ...] = ()
    recorded_at: datetime | None = None
    origin: Origin | None = None

    def attribute(self, name: str) -> str | None:
        """Returns the value of an attribute; None if the profile does not contain it."""
        return next((each.value for each in self.attributes if each.name == name), None)

    def of(self, subject: str) -> Profile:
        """Returns a copy that contains only the traits of one person."""
        return replace(self, traits=tuple(each for each in self.traits if each.subject == subject))
