"""Collects what is read from an imported file: pages, ids of user and assistant, and problems."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from memoryos.errors import InputError
from memoryos.importing.spool import DraftSpool
from memoryos.inputs import read_draft, read_messages, read_query, read_time
from memoryos.time_zones import NO_ZONE

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from memoryos.model import PageDraft, Side

__all__ = ["DAMAGED", "Message", "Source", "SourceBuilder", "fill_gaps", "label", "time_of"]

DAMAGED = "is incomplete because the file is damaged; it was skipped"
"""Description of the problem that the end of a value is missing."""
_MAX_LABEL_CHARACTERS = 200
_PLACES_NAMED = 10
_FIRST_MILLISECONDS = 1e11
"""Smallest number that counts as milliseconds since 1970. Smaller numbers are seconds, up to the year 5138."""


@dataclass(frozen=True, slots=True)
class Source:
    """The pages of one user with one assistant, read from one file or folder.

    Attributes:
        user_id: Id of the user; None if the file does not contain it.
        assistant_id: Id of the assistant; None if the file does not contain it.
        drafts: The pages, oldest first. Many pages are kept in a temporary file instead of in memory.
        problems: Descriptions of the parts that could not be read, with file and place but without their content.
    """

    user_id: str | None
    assistant_id: str | None
    drafts: Sequence[PageDraft]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an imported conversation.

    Attributes:
        side: The speaker: "user" or "assistant".
        text: The text.
        at: The time; None if the file does not contain it.
        place: Place of the message in the file, for descriptions of problems, e.g. "chat.json, message 3".
    """

    side: Side
    text: str
    at: datetime | None
    place: str


@dataclass(slots=True)
class SourceBuilder:
    """Collects the pages and problems of a file while the file is read.

    Attributes:
        now: Time of pages whose time the file does not contain, in the time zone of times without one.
        drafts: The pages that were read so far.
        problems: Descriptions of the problems that were found so far.
    """

    now: datetime
    drafts: DraftSpool = field(default_factory=DraftSpool)
    problems: list[str] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _known: set[Hashable] = field(default_factory=set)

    def note(self, place: str, problem: str) -> None:
        """Records a problem and its place in the file. After ten places, the same problem is only counted."""
        self._counts[problem] += 1
        if self._counts[problem] <= _PLACES_NAMED:
            self.problems.append(f"{place}: {problem}")

    def time_of(self, value: Any) -> datetime | None:
        """Parses a time as the function ``time_of`` does. A time without a zone is in the zone of ``now``."""
        return time_of(value, self.now.tzinfo)

    def draft(
        self, place: str, user_text: Any, assistant_text: Any, at: datetime | None, metadata: Mapping[str, Any]
    ) -> PageDraft | None:
        """Validates a page and returns it. If it is not valid, records the problem and returns None."""
        try:
            return read_draft(user_text, assistant_text, at, metadata, now=self.now)
        except InputError as error:
            self.note(place, str(error))
            return None

    def add_once(self, draft: PageDraft | None, key: Hashable) -> None:
        """Adds a page, unless it is None or a page with the same key was added before."""
        if draft is not None and key not in self._known:
            self._known.add(key)
            self.drafts.append(draft)

    def add_messages(
        self, messages: Sequence[Message], conversation: str | None = None, started_at: datetime | None = None
    ) -> None:
        """Adds the messages of a conversation as pages. Messages that are not valid are recorded as problems.

        Args:
            messages: The messages in order.
            conversation: Title of the conversation, which becomes metadata of the pages.
            started_at: Start of the conversation. Messages at the beginning without a time get this time.
        """
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
        """Returns the collected pages and problems as a ``Source``."""
        more = {problem: count - _PLACES_NAMED for problem, count in self._counts.items() if count > _PLACES_NAMED}
        unnamed = (f"{count:,} more places: {problem}" for problem, count in more.items())
        return Source(user_id, assistant_id, self.drafts, (*self.problems, *unnamed))


def time_of(value: Any, zone: tzinfo | None = None) -> datetime | None:
    """Parses a time in ISO 8601 format, or in seconds or milliseconds since 1970. Returns None if it is not valid.

    Args:
        value: A value of a file.
        zone: Time zone of a time that the file gives without one; default: ``NO_ZONE``. A number is converted to it.
    """
    try:
        if isinstance(value, str):
            return read_time("timestamp", value, zone=zone)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if value >= _FIRST_MILLISECONDS else value
            return datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone(zone or NO_ZONE)
    except (InputError, ValueError, OverflowError, OSError):
        return None
    return None


def fill_gaps(times: Sequence[datetime | None]) -> list[datetime | None]:
    """Replaces each None in a list of times by the time before it. A None at the beginning gets the first time."""
    last = next((each for each in times if each is not None), None)
    filled = []
    for each in times:
        last = each or last
        filled.append(last)
    return filled


def label(*candidates: Any) -> str | None:
    """Returns the first argument that is a valid text, cut to 200 characters. Returns None if there is none."""
    for each in candidates:
        try:
            return read_query(each)[:_MAX_LABEL_CHARACTERS]
        except InputError:
            continue
    return None
