"""The nouns of MemoryOS: frozen values that every other file passes around.

Times are aware and in UTC. Ids are UUIDv7 text. A value never reaches for a database, a model or a clock.
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
"""Who of the two parties of a page speaks."""
About = Literal["user", "assistant"]
"""Whom a knowledge entry describes."""
Level = Literal["high", "medium", "low"]
"""How strongly a trait shows; ``traits90.json`` says what high and low mean for each dimension."""

SIDES: tuple[Side, Side] = ("user", "assistant")
ABOUT: tuple[About, About] = ("user", "assistant")
ANSWERED_FROM = "answered_from"
"""Key of a page's metadata: ids of the pages that an answer, remembered as this page, was based on."""
RECORDS = "memoryos-records/"
"""How the assistant's id of every scope of records begins."""


def _no_metadata() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """The owner of a memory: one user talking with one assistant. Both ids are data, never paths."""

    user_id: str
    assistant_id: str

    @property
    def holds_records(self) -> bool:
        """Whether programs keep values under keys here: they are found like pages, and no analyst reads them."""
        return self.assistant_id.startswith(RECORDS)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One side of a page: the unit that is embedded and ranked."""

    page_id: str
    seq: int
    side: Side
    speaker: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PageDraft:
    """A validated exchange before the log gives it an id and a position; fields as in ``Page``."""

    at: datetime
    user_text: str
    assistant_text: str
    user_name: str | None = None
    assistant_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=_no_metadata, hash=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One exchange {Q, R, T} of Eq. 1: what the user said, what the assistant said, when.

    Attributes:
        page_id: UUIDv7 text.
        seq: Position in the log of its scope, from 1, without gaps.
        at: When the exchange took place (aware, UTC).
        user_text: The user's side, verbatim; empty when only the assistant spoke.
        assistant_text: The assistant's side, verbatim; empty when only the user spoke.
        user_name: How the user's side is called in this page, if it was named.
        assistant_name: How the assistant's side is called in this page, if it was named.
        metadata: What the caller attached, JSON-compatible.
        chain_id: The chain it belongs to, once consolidated.
        segment_id: The segment it belongs to, once consolidated.
        learned: Whether long-term memory has read it.
        instruction_sides: Sides that read like an instruction to a model, 1 for the user's, 2 for the assistant's, 3
            for both; None for a page that an earlier release wrote, which did not judge it.
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
        """Returns what that side said, "" if it said nothing."""
        return self.user_text if side == "user" else self.assistant_text

    def speaker(self, side: Side) -> str:
        """Returns the name of that side; "user" or "assistant" where it was not named."""
        name = self.user_name if side == "user" else self.assistant_name
        return name or side

    def speaking(self) -> tuple[Side, ...]:
        """Returns the sides that said something, the user's first."""
        return tuple(side for side in SIDES if self.text(side).strip())

    def utterances(self) -> tuple[Utterance, ...]:
        """Returns what each side said that said something, the user's first."""
        return tuple(
            Utterance(self.page_id, self.seq, side, self.speaker(side), self.text(side), self.at)
            for side in self.speaking()
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Who derived a thing: the analyst and the version of its prompt or rules."""

    analyst: str
    version: str


SHARED = Origin("shared", "1")
"""Origin of a fact about the assistant that was learned in another scope; it has no source pages here."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Pages that continue one another, with one summary (the meta of Eq. 1)."""

    chain_id: str
    summary: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Pages of one topic (Eq. 2).

    Attributes:
        segment_id: UUIDv7 text.
        summary: What its pages are about.
        keywords: K_s of Eq. 3.
        visits: N_visit of Eq. 4, since it was last learned from.
        length: L_interaction of Eq. 4: pages that joined since it was last learned from.
        page_count: All pages that it holds.
        last_visited_at: When it was last recalled or joined.
        created_at: Time of its first page.
        archived_at: When it fell out of mid-term memory; its pages stay in the log, out of recall.
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
    """One fact about the user or the assistant, with the pages that it was read in.

    Attributes:
        knowledge_id: UUIDv7 text.
        about: Whom it describes.
        text: The fact, one sentence.
        recorded_at: When it was written down.
        valid_from: Since when it holds, where the conversation says so.
        superseded_by: The entry that replaced it; None while it is current.
        archived_at: When the queue of ``long_term_knowledge_capacity`` pushed it out of recall.
        source_page_ids: The pages that it was read in, oldest first.
        origin: Who wrote it.
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
        source_page_ids: The pages that say so, oldest first.
    """

    name: str
    value: str
    source_page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trait:
    """One of the 90 dimensions of ``traits90.json``, as far as the words support it.

    Attributes:
        category: The dimension's category, as in the file.
        dimension: The dimension's name, as in the file; unique together with the category.
        level: high, medium or low.
        reason: Why, in one sentence.
        evidence_page_ids: The pages that show it, oldest first; never empty.
    """

    category: str
    dimension: str
    level: Level
    reason: str
    evidence_page_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls of a model cost one scope on one day for one purpose.

    Attributes:
        day: The day in UTC.
        purpose: digest, learn or answer.
        model: Name of the model.
        calls: All calls, failed ones too.
        failed_calls: Those that brought no reply.
        prompt_tokens: Tokens that the model read.
        completion_tokens: Tokens that it wrote.
        seconds: How long the calls took together.
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
        """All tokens, read and written."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of the user: static attributes and traits. Versions are kept; version 0 is the empty one."""

    version: int = 0
    attributes: tuple[Attribute, ...] = ()
    traits: tuple[Trait, ...] = ()
    recorded_at: datetime | None = None
    origin: Origin | None = None

    def attribute(self, name: str) -> str | None:
        """Returns the value of one attribute, None if it is not known."""
        return next((each.value for each in self.attributes if each.name == name), None)
