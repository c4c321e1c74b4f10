"""Notes: facts without their subject and sources, with resolved days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timezone
from typing import TYPE_CHECKING

from memoryos.language.dates import mentions

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.language.dates import Mention
    from memoryos.language.matching import Bounded
    from memoryos.model import FactKind, FactStatus

__all__ = ["Note", "dated_note"]


@dataclass(frozen=True, slots=True)
class Note:
    """A fact without its subject and sources. The other fields are those of ``seams.Fact``.

    ``since`` is ``Fact.valid_from`` and ``until`` is ``Fact.valid_until``. A day is represented by its midnight in UTC.
    """

    text: str
    since: datetime | None
    slot: str | None = None
    value: str | None = None
    kind: FactKind = "fact"
    status: FactStatus | None = None
    until: datetime | None = None


def dated_note(text: str, at: datetime, say: Callable[[Mention], str], *, dropped: Bounded | None = None) -> Note:
    """Returns the text as a note, each day that it names said in full.

    Args:
        text: The fact.
        at: When it was said; relative days are resolved against it.
        say: How a day is said in the language of the text.
        dropped: What is taken away in front of a day, such as the preposition that ``say`` brings itself.
    """
    since = None
    pieces: list[str] = []
    place = 0
    for mention in mentions(text, at):
        since = since or datetime.combine(mention.first, time(), timezone.utc)
        before = text[place : mention.start]
        pieces += [dropped.sub(" ", before) if dropped else before, say(mention)]
        place = mention.end
    return Note("".join([*pieces, text[place:]]), since)
