"""Analyses a query: finds its search terms, the names of speakers in it, and the days that it refers to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.language.dates import date_terms, mentions
from memoryos.language.languages import language_of
from memoryos.language.question_words import ASKS_ABOUT_ASSISTANT, ASKS_ABOUT_USER, REMEMBER
from memoryos.language.stop_words import TOPIC_STOP_WORDS
from memoryos.language.text import fold, function_terms, search_terms
from memoryos.model import SIDES, Side

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from memoryos.language.languages import Language

__all__ = ["Question", "index_terms", "read_question"]

_MIN_PREFIX = 3
_NAME = re.compile(r"\w+")
_WORD = re.compile(r"(\w+)(?:['’]s\b)?")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_HONORIFIC = "(?:さん|くん|君|ちゃん|様|先生)?"


@dataclass(frozen=True, slots=True)
class Question:
    """A query, prepared for the ranking.

    Attributes:
        text: The query as the caller wrote it.
        dense_text: The text to embed; never empty. It is the query without names of speakers, because with a name the
            query would be similar to every text that contains the name.
        terms: Search terms of the query, including those of the days that it refers to.
        function_terms: Those of ``terms`` that are function words, such as "when".
        speakers: Names of the speakers in the query, in the form in which they are stored.
        side: The speaker whose statements the query asks for: "user" for "What did I …", "assistant" for "What did you
            …", None if the query names a speaker. For any other query it is "user" if a speaker of the scope is an
            assistant, because users mostly ask about their own statements; otherwise None.
        times: Ranges of days that the query refers to, as (first day, last day).
        language: Language of the query; None if it is not known.
    """

    text: str
    dense_text: str
    terms: tuple[str, ...]
    speakers: frozenset[str] = frozenset()
    side: Side | None = None
    times: tuple[tuple[date, date], ...] = ()
    language: Language | None = None
    function_terms: frozenset[str] = frozenset()


def read_question(query: str, *, speakers: Sequence[str], now: datetime) -> Question:
    """Analyses a query for the ranking.

    Args:
        query: The text of the query.
        speakers: Names of all speakers in the memory.
        now: The current time in the zone of the asker, from which relative dates such as "yesterday" are counted.
    """
    language = language_of(query)
    named = _named(query, [name for name in speakers if name not in SIDES])
    times = tuple((each.first, each.last) for each in mentions(query, now))
    words = search_terms(query) + [term for first, last in times for term in date_terms(first, last)]
    return Question(
        text=query,
        dense_text=_without_names(query, named),
        terms=tuple(words),
        speakers=frozenset(named.values()),
        side=None if named else _side(query, language) or _default_side(speakers),
        language=language,
        function_terms=function_terms(words, language),
        times=times,
    )


def index_terms(text: str, at: datetime) -> list[str]:
    """Returns the search terms of a stored text: its words, the days that it refers to, and its own date.

    Args:
        text: The text.
        at: Time at which the text was written, in the zone of its sender. Relative dates such as "yesterday" are
            counted from its day.
    """
    own = at.date()
    found = search_terms(text)
    for each in mentions(text, at):
        found += date_terms(each.first, each.last)
    found += date_terms(own, own)
    return found


def _named(query: str, speakers: Sequence[str]) -> dict[str, str]:
    """Finds names of speakers in a query.

    Returns:
        The words of the query that refer to a speaker, each with the speaker's full name. Such a word is a part of
        the name, for example the first name, or a short form of a part.
    """
    words = {fold(word): word for word in _NAME.findall(query)}
    named: dict[str, str] = {}
    for speaker in speakers:
        for part in _NAME.findall(speaker):
            folded = fold(part)
            if _CJK.search(part):
                if len(part) > 1 and part in query:
                    named[part] = speaker
                continue
            for known, word in words.items():
                is_short_form = len(known) >= _MIN_PREFIX and word[:1].isupper() and folded.startswith(known)
                is_pronoun = folded in TOPIC_STOP_WORDS["vi"] and word.islower()
                if (known == folded and not is_pronoun) or is_short_form:
                    named[word] = speaker
    return named


def _without_names(query: str, named: dict[str, str]) -> str:
    text = _WORD.sub(lambda found: " " if found[1] in named and not _CJK.search(found[1]) else found[0], query)
    for word in named:
        if _CJK.search(word):
            text = re.sub(f"{re.escape(word)}{_HONORIFIC}", "", text)
    text = " ".join(text.split())
    return text if any(character.isalnum() for character in text) else query


def _default_side(speakers: Sequence[str]) -> Side | None:
    return "user" if "assistant" in speakers else None


def _side(query: str, language: Language | None) -> Side | None:
    question = REMEMBER.sub(" ", query)
    language = language if language in ASKS_ABOUT_USER else "en"
    if ASKS_ABOUT_ASSISTANT[language].search(question):
        return "assistant"
    return "user" if ASKS_ABOUT_USER[language].search(question) else None
