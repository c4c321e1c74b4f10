"""Results of the readers: pages, their user and assistant if the file names them, and problems."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.importing.spool import DraftSpool
from memoryos.inputs import read_draft, read_messages, read_query, read_time

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from memoryos.model import PageDraft, Side

__all__ = ["Message", "Reading", "Source", "fill_gaps", "label", "time_of"]

_MAX_LABEL_CHARACTERS = 200
_PLACES_NAMED = 10
_FIRST_MILLISECONDS = 1e11
"""Larger numbers are milliseconds since 1970; as seconds they would be later than the year 5138."""


@dataclass(frozen=True, slots=True)
class Source:
    """The pages of one user and assistant in one file or folder.

    Attributes:
        user_id: The user; None if the file does not contain it.
        assistant_id: The assistant; None if the file does not contain it.
        drafts: The pages, oldest first; those of large files are in a temporary file.
        problems: Descriptions of unreadable parts with file and place, without content.
    """

    user_id: str | None
    assistant_id: str | None
    drafts: Sequence[PageDraft]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        side: Its speaker.
        text: Its text.
        at: Its time; None if the file does not contain it.
        place: Its place in the file, for problems.
    """

    side: Side
    text: str
    at: datetime | None
    place: str


@dataclass(slots=True)
class Reading:
    """A source that is being read.

    Attributes:
        now: Time given to each page for which the file contains no time.
        drafts: The pages so far.
        problems: The problems so far.
    """

    now: datetime
    drafts: DraftSpool = field(default_factory=DraftSpool)
    problems: list[str] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _known: set[Hashable] = field(default_factory=set)

    def note(self, place: str, problem: str) -> None:
        """Records a problem. For repeated problems, the first ten places are listed and the others counted."""
        self._counts[problem] += 1
        if self._counts[problem] <= _PLACES_NAMED:
            self.problems.append(f"{place}: {problem}")

    def draft(
        self, place: str, user_text: Any, assistant_text: Any, at: datetime | None, metadata: Mapping[str, Any]
    ) -> PageDraft | None:
        """Returns the page if the log accepts it; otherwise records the problem and returns None."""
        try:
            return read_draft(user_text, assistant_text, at, metadata, now=self.now)
        except InputError as error:
            self.note(place, str(error))
            return None

    def add_once(self, draft: PageDraft | None, key: Hashable) -> None:
        """Adds a page if it is not None and no page with the same key was added."""
        if draft is not None and key not in self._known:
            self._known.add(key)
            self.drafts.append(draft)

    def add_messages(
        self, messages: Sequence[Message], conversation: str | None = None, started_at: datetime | None = None
    ) -> None:
        """Adds a conversation's pages, paired by ``inputs.read_messages``; records messages that can't be stored."""
        times = fill_gaps([started_at, *(each.at for each in messages)])[1:]
        storable = [
            {"role": each.side, "content": each.text, "timestamp": at}
            for each, at in zip(messages, times, strict=True)
            if each.text.strip() and self.draft(each.place, each.text, "", at, {}) is not None
        ]
        metadata = MappingProxyType({"conversation": conversation} if conversation else {})
        for each in read_messages(storable, now=self.now):
            self.drafts.append(replace(each, metadata=metadata))

    def source(self, user_id: str | None = None, assistant_id: str | None = None) -> Source:
        """Returns the source, with the oldest page first."""
        more = {problem: count - _PLACES_NAMED for problem, count in self._counts.items() if count > _PLACES_NAMED}
        unnamed = (f"{count:,} more places: {problem}" for problem, count in more.items())
        return Source(user_id, assistant_id, self.drafts, (*self.problems, *unnamed))


def time_of(value: Any) -> datetime | None:
    """Returns a time given as ISO 8601 text, or as seconds or milliseconds since 1970; None if it can't be parsed."""
    try:
        if isinstance(value, str):
            return read_time("timestamp", value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value >= _FIRST_MILLISECONDS else value, tz=timezone.utc)
    except (InputError, ValueError, OverflowError, OSError):
        return None
    return None


def fill_gaps(times: Sequence[datetime | None]) -> list[datetime | None]:
    """Returns the times with each None replaced by the time before it, and leading Nones by the first time."""
    last = next((each for each in times if each is not None), None)
    filled = []
    for each in times:
        last = each or last
        filled.append(last)
    return filled


def label(*candidates: Any) -> str | None:
    """Returns the first candidate that is storable text, shortened to 200 characters; None without such a candidate."""
    for each in candidates:
        try:
            return read_query(each)[:_MAX_LABEL_CHARACTERS]
        except InputError:
            continue
    return None
