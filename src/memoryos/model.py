"""The value types of MemoryOS: frozen dataclasses without access to database, model or clock.

Times are aware and in UTC. Ids are UUIDv7 text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

__all__ = [
    "ABOUT",
    "ANSWERED_FROM",
    "RECORDS",
    "SHARED",
    "SIDES",
    "About",
    "Attribute",
    "Chain",
    "Cost",
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
"""The subject of a fact."""
Level = Literal["high", "medium", "low"]
"""The strength of a trait; ``traits90.json`` defines high and low for each dimension."""

SIDES: tuple[Side, Side] = ("user", "assistant")
ABOUT: tuple[About, About] = ("user", "assistant")
ANSWERED_FROM = "answered_from"
"""Metadata key of a page that contains an answer: the ids of the source pages of the answer."""
RECORDS = "memoryos-records/"
"""Prefix of the assistant's id of every scope of records."""


def _no_metadata() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """The owner of a memory: one user with one assistant. Both ids are arbitrary text, never paths."""

    user_id: str
    assistant_id: str

    @property
    def holds_records(self) -> bool:
        """Whether this scope contains records (values that a program stores under keys). No analyst reads records."""
        return self.assistant_id.startswith(RECORDS)


@dataclass(frozen=True, slots=True)
class Utterance:
    """The user's or the assistant's text of a page: the unit of embedding and ranking."""

    page_id: str
    seq: int
    side: Side
    speaker: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PageDraft:
    """A validated exchange without id and log position; fields as in ``Page``."""

    at: datetime
    user_text: str
    assistant_text: str
    user_name: str | None = None
    assistant_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=_no_metadata, hash=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One exchange {Q, R, T} of Eq. 1: the user's text, the assistant's text and the time.

    Attributes:
        page_id: UUIDv7 text.
        seq: Position in the log of its scope, from 1, without gaps.
        at: Time of the exchange (aware, UTC).
        user_text: The user's text, verbatim; empty if only the assistant spoke.
        assistant_text: The assistant's text, verbatim; empty if only the user spoke.
        user_name: Name of the user in this page; None if unnamed.
        assistant_name: Name of the assistant in this page; None if unnamed.
        metadata: The caller's metadata, JSON-compatible.
        chain_id: The page's chain; None before consolidation.
        segment_id: The page's segment; None before consolidation.
        learned: Whether the facts of this page are in long-term memory.
        instruction_sides: Which texts look like an instruction to a model: 1 the user's, 2 the assistant's, 3 both,
            0 none; None for a page stored by an earlier release without this check.
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
    learned: bool = False
    instruction_sides: int | None = None

    def text(self, side: Side) -> str:
        """Returns the text of the user or of the assistant; "" if that one said nothing."""
        return self.user_text if side == "user" else self.assistant_text

    def speaker(self, side: Side) -> str:
        """Returns the speaker name of the user or the assistant; if unnamed, "user" or "assistant"."""
        name = self.user_name if side == "user" else self.assistant_name
        return name or side

    def speaking(self) -> tuple[Side, ...]:
        """Returns who spoke in this page: "user", "assistant" or both, in this order; empty texts do not count."""
        return tuple(side for side in SIDES if self.text(side).strip())

    def utterances(self) -> tuple[Utterance, ...]:
        """Returns one utterance for each text that is not empty, the user's first."""
        return tuple(
            Utterance(self.page_id, self.seq, side, self.speaker(side), self.text(side), self.at)
            for side in self.speaking()
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of derived data: the analyst and the version of its prompt or rules."""

    analyst: str
    version: str


SHARED = Origin("shared", "1")
"""Origin of a fact about the assistant that was copied from another scope, without its source pages."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Consecutive pages of one conversation thread, with one summary (the meta of Eq. 1)."""

    chain_id: str
    summary: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Pages of one topic (Eq. 2).

    Attributes:
        segment_id: UUIDv7 text.
        summary: Summary of its pages.
        keywords: K_s of Eq. 3.
        visits: N_visit of Eq. 4: recalls since the segment was last learned from.
        length: L_interaction of Eq. 4: pages added since the segment was last learned from.
        page_count: Number of all its pages.
        last_visited_at: Time of its last recall or last added page.
        created_at: Time of its first page.
        archived_at: Time of its removal from mid-term memory; None while it is active. The pages of an archived
            segment stay in the log but are not recalled.
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
    """One fact about the user or the assistant, with its source pages.

    Attributes:
        knowledge_id: UUIDv7 text.
        about: The subject of the fact.
        text: The fact, one sentence.
        recorded_at: Time at which the fact was stored.
        valid_from: Start of its validity, if the conversation states one.
        superseded_by: Id of the fact that replaced it; None while it is current.
        archived_at: Time at which it exceeded ``long_term_knowledge_capacity`` and left recall; None while active.
        source_page_ids: Ids of its source pages, oldest first.
        origin: The analyst that found it.
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


@dataclass(frozen=True, slots=True)
class Attribute:
    """One static fact of the profile, such as name, birth_year, gender, home or job.

    Attributes:
        name: snake_case name of the attribute.
        value: Its value, in the user's words.
        source_page_ids: Ids of its source pages, oldest first.
    """

    name: str
    value: str
    source_page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trait:
    """One of the 90 personality dimensions of ``traits90.json``, with evidence.

    Attributes:
        category: The dimension's category, as in the file.
        dimension: The dimension's name, as in the file; unique together with the category.
        level: high, medium or low.
        reason: The reason for the level, in one sentence.
        evidence_page_ids: Ids of the pages with the evidence, oldest first; never empty.
    """

    category: str
    dimension: str
    level: Level
    reason: str
    evidence_page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of model calls of one scope on one day for one purpose.

    Attributes:
        day: The day in UTC.
        purpose: digest, learn or answer.
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
        """Tokens of prompts and replies."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Profile:
    """The user's attributes and traits. Every version is stored; version 0 is the empty profile."""

    version: int = 0
    attributes: tuple[Attribute, ...] = ()
    traits: tuple[Trait, ...] = ()
    recorded_at: datetime | None = None
    origin: Origin | None = None

    def attribute(self, name: str) -> str | None:
        """Returns the value of one attribute; None if it is unknown."""
        return next((each.value for each in self.attributes if each.name == name), None)
