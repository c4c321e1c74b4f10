"""The question: what a query asks, whom it names, and which days it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.language.dates import date_terms, mentions
from memoryos.language.text import fold, terms
from memoryos.model import SIDES, Side

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

__all__ = ["Question", "index_terms", "read_question"]

_MIN_PREFIX = 3
_NAME = re.compile(r"\w+")
_BY_USER = re.compile(
    r"\b(?:did|do|have|had|was|were|am|what(?:'s| is| are)|where|when)\s+(?:i|my)\b|\bi\s(?:\w+\s)?(?:said|told|"
    r"mention|share|recommend|ask|like|love|want|went|read|watch|have|had|was)|\bmy\b|我(?!给我|们)",
    re.IGNORECASE,
)
_BY_ASSISTANT = re.compile(
    r"\b(?:did|do|have|had|would)\s+you\b|\byou(?:'ve| have)?\s(?:\w+\s)?"
    r"(?:recommend|suggest|said|say|told|tell|mention|advi[sc]e|"
    r"teach|taught|share|gave|give|promise|introduc)|(?:你|您)[^我]{0,6}(?:给我|推荐|建议|告诉|说过|教|分享|介绍)",
    re.IGNORECASE,
)
_REMEMBER = re.compile(
    r"\b(?:do|did|can|could)\s+you\s+(?:still\s+)?(?:remember|recall|know)\b|你还记得", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Question:
    """A query as the ranking reads it.

    Attributes:
        text: The query, verbatim.
        dense_text: The query without people's names, which pull the vector to whoever is named; never empty.
        terms: Its index terms, those of the days it names included.
        speakers: Names (as the scope spells them) of the speakers that it names.
        side: The side that "I" or "you" means, where it names nobody else.
        times: Days that it names, both inclusive.
    """

    text: str
    dense_text: str
    terms: tuple[str, ...]
    speakers: frozenset[str] = frozenset()
    side: Side | None = None
    times: tuple[tuple[date, date], ...] = ()


def read_question(query: str, *, speakers: Sequence[str], now: datetime) -> Question:
    """Returns what a query asks.

    Args:
        query: The user's words.
        speakers: Everyone who speaks in the scope.
        now: What "yesterday" is relative to.
    """
    named = _named(query, [name for name in speakers if name not in SIDES])
    times = tuple((each.first, each.last) for each in mentions(query, now))
    words = terms(query) + [term for first, last in times for term in date_terms(first, last)]
    return Question(
        text=query,
        dense_text=_without_names(query, named),
        terms=tuple(words),
        speakers=frozenset(named.values()),
        side=None if named else _side(query),
        times=times,
    )


def index_terms(text: str, at: datetime) -> list[str]:
    """Returns the terms of an utterance: its words, the days it names resolved, and its own date."""
    own = at.date()
    found = terms(text)
    for each in mentions(text, at):
        found += date_terms(each.first, each.last)
    found += date_terms(own, own)
    return found


def _named(query: str, speakers: Sequence[str]) -> dict[str, str]:
    words = {fold(word): word for word in _NAME.findall(query)}
    named: dict[str, str] = {}
    for speaker in speakers:
        for part in _NAME.findall(speaker):
            folded = fold(part)
            for known, word in words.items():
                is_short_form = len(known) >= _MIN_PREFIX and word[:1].isupper() and folded.startswith(known)
                if known == folded or is_short_form:
                    named[word] = speaker
    return named


def _without_names(query: str, named: dict[str, str]) -> str:
    text = query
    for word in named:
        text = re.sub(rf"\b{re.escape(word)}\b(?:['’]s\b)?", " ", text)
    text = " ".join(text.split())
    return text if any(character.isalnum() for character in text) else query


def _side(query: str) -> Side | None:
    asked = _REMEMBER.sub(" ", query)
    if _BY_ASSISTANT.search(asked):
        return "assistant"
    return "user" if _BY_USER.search(asked) else None
