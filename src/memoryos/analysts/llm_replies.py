"""Reads the replies of an LLM: numbers of pages and facts become ids, and invalid parts are dropped."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

from memoryos.analysts.grouping import group_pages
from memoryos.analysts.prompts.profile import LEVELS, TraitReply
from memoryos.analysts.prompts.read import KINDS, STATUSES, ChainReply, FactReply, TopicReply, shown_facts
from memoryos.analysts.prompts.shapes import ReplyParts
from memoryos.analysts.subjects import SubjectNames
from memoryos.analysts.traits import dimensions
from memoryos.errors import InvalidReplyError
from memoryos.language.reply_language import is_in_other_language
from memoryos.language.text import fold
from memoryos.language.word_sequence import word_sequence
from memoryos.model import ABOUT, Trait
from memoryos.seams import Fact, Profiling, Reading, Topic
from memoryos.slots import slot_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memoryos.model import Page
    from memoryos.seams import Batch, Material

__all__ = ["read_profiling", "read_reading"]

EVIDENCE_KEPT = 12
KEYWORDS_READ = 12
LONGEST_WORD = 80
"""Maximum length of a keyword and of a name in characters."""
LETTERS_TO_JUDGE = 20
"""Minimum length of a text of a reply whose language is checked by itself."""
_Value = TypeVar("_Value", bound=str)
_NAME = re.compile(r"[\W_]+")
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")
_WITH_STATUS = frozenset({"plan", "decision", "promise"})


def read_reading(text: str, batch: Batch) -> Reading:
    """Returns the reading of a reply to ``read_messages``.

    Invalid parts are dropped and noted in ``Reading.dropped``. A page without topic joins the topic of the page before
    it, or else after it. If no chain or no topic is valid, those of ``group_pages`` are used.

    Raises:
        InvalidReplyError: If the reply contains no valid chain, topic or fact, or if its language is not that of the
            pages. The message contains no text of the reply.
    """
    parts = ReplyParts(text)
    chains = _chains(parts, len(batch.pages))
    topics = _topics(parts, len(batch.pages))
    facts = _facts(parts, batch)
    if not (chains or topics or facts):
        raise InvalidReplyError("the reply contains no valid chain, topic or fact")
    summaries = [*chains.values(), *(topic.summary for topic, _ in topics)]
    _check_language([*summaries, *(fact.text for fact in facts)], batch.pages)
    reading = group_pages(batch)
    if chains:
        is_linked = bool(batch.before) and parts.is_true("continues")
        rest = (number not in chains for number in range(2, len(batch.pages) + 1))
        reading = replace(reading, continues=(is_linked, *rest), chain_summaries=tuple(chains.values()))
    if topics:
        found = tuple(
            Topic(
                topic.summary, _keywords(topic.keywords), tuple(batch.pages[number - 1].page_id for number in numbers)
            )
            for topic, numbers in topics
        )
        reading = replace(reading, topics=found)
    return replace(reading, facts=tuple(facts), dropped=parts.dropped())


def read_profiling(text: str, material: Material) -> tuple[Profiling, tuple[str, ...]]:
    """Returns the traits of a reply to ``profile_messages``, and the reasons for which parts were dropped.

    Raises:
        InvalidReplyError: If the reply contains no list of traits, or if its language is not that of the pages.
    """
    parts = ReplyParts(text)
    if not parts.has_list("traits"):
        raise InvalidReplyError("the reply contains no list of traits")
    by_name = {each.name.lower(): each for each in dimensions()}
    earlier = {(each.subject, each.category, each.dimension): each for each in material.profile.traits}
    subjects = SubjectNames(material)
    traits: dict[tuple[str, str, str], Trait] = {}
    for each in parts.items("traits", TraitReply):
        dimension, level = by_name.get(each.trait.lower()), _chosen(each.level, LEVELS)
        numbers = _numbers(parts, "traits", each.pages, len(material.pages))
        if dimension is None or level is None or not each.reason or not numbers or len(each.subject) > LONGEST_WORD:
            parts.drop("traits: unknown trait or level, no reason or page, or too long a name")
            continue
        pages = [material.pages[number - 1] for number in numbers]
        key = (subjects.find(each.subject or "user", pages), dimension.category, dimension.name)
        before = earlier[key].evidence_page_ids if key in earlier else ()
        evidence = sorted({*before, *_ids(pages)})
        traits[key] = Trait(*key[1:], level, each.reason, tuple(evidence[-EVIDENCE_KEPT:]), key[0])
    _check_language([each.reason for each in traits.values()], material.pages)
    return Profiling(tuple(traits.values())), parts.dropped()


def _chains(parts: ReplyParts, count: int) -> dict[int, str]:
    """Returns the summary of each chain by the number of its first page, in order. The first chain begins with 1."""
    found: dict[int, str] = {}
    for chain in parts.items("chains", ChainReply):
        if not chain.summary or not 1 <= chain.first_page <= count or chain.first_page in found:
            parts.drop("chains: no summary, an unknown page, or a page twice")
        else:
            found[chain.first_page] = chain.summary
    ordered = sorted(found.items())
    if ordered and ordered[0][0] != 1:
        parts.drop("chains: page 1 is missing")
        ordered[0] = (1, ordered[0][1])
    return dict(ordered)


def _topics(parts: ReplyParts, count: int) -> list[tuple[TopicReply, list[int]]]:
    """Returns the topics with the numbers of their pages. Every page is in one topic, unless there is none."""
    topics: list[TopicReply] = []
    topic_of: dict[int, int] = {}
    for topic in parts.items("topics", TopicReply):
        shown = _numbers(parts, "topics", topic.pages, count)
        numbers = [each for each in shown if each not in topic_of]
        if len(numbers) < len(shown):
            parts.drop("topics: a page twice")
        if not topic.summary or not numbers:
            parts.drop("topics: no summary, or no page of its own")
            continue
        topic_of |= dict.fromkeys(numbers, len(topics))
        topics.append(topic)
    if not topics:
        return []
    nearest = topic_of[min(topic_of)]
    for number in range(1, count + 1):
        if number not in topic_of:
            parts.drop("topics: a page has none")
        nearest = topic_of.setdefault(number, nearest)
    return [
        (topic, [number for number in range(1, count + 1) if topic_of[number] == place])
        for place, topic in enumerate(topics)
    ]


def _facts(parts: ReplyParts, batch: Batch) -> list[Fact]:
    subjects = SubjectNames(batch)
    facts: dict[tuple[object, ...], Fact] = {}
    for each in parts.items("facts", FactReply):
        numbers = _numbers(parts, "facts", each.pages, len(batch.pages))
        about = _chosen(each.about, ABOUT) or "user"
        if not each.text or not numbers or len(each.subject) > LONGEST_WORD:
            parts.drop("facts: no text or page, or too long a name")
            continue
        pages = [batch.pages[number - 1] for number in numbers]
        subject = subjects.find(each.subject or about, pages)
        fact = _fact(parts, each, pages)
        replaces = _replaces(parts, each, batch, fact.source_page_ids)
        key = (subject, fact.slot, word_sequence(fact.text), fact.valid_from, fact.valid_until)
        if key in facts:  # a repetition adds its sources
            first = facts[key]
            page_ids = {*first.source_page_ids, *fact.source_page_ids}
            fact = replace(first, source_page_ids=tuple(each for each in _ids(batch.pages) if each in page_ids))
            replaces = tuple(dict.fromkeys((*first.replaces, *replaces)))
        facts[key] = replace(fact, about=about, subject=subject, replaces=replaces)
    return list(facts.values())


def _ids(pages: Iterable[Page]) -> tuple[str, ...]:
    return tuple(page.page_id for page in pages)


def _fact(parts: ReplyParts, reply: FactReply, pages: Sequence[Page]) -> Fact:
    newest = max(pages, key=lambda page: (page.at, page.seq))
    valid_until = _until(reply.until, newest)
    slot = slot_named(_NAME.sub("_", reply.slot.lower()).strip("_"))
    value = reply.value or None
    if reply.slot and (slot is None or (value is None and valid_until is None)):
        parts.drop("facts: unknown slot, or a slot without value")
        slot = None
    kind = _chosen(reply.kind or "fact", KINDS)
    if kind is None:
        parts.drop("facts: unknown kind")
    status = _chosen(reply.status, STATUSES) if kind in _WITH_STATUS else None
    return Fact(
        about="user",
        text=reply.text,
        source_page_ids=_ids(pages),
        valid_from=_since(reply.since),
        slot=slot,
        value=value if slot else None,
        kind=kind or "fact",
        status=status,
        valid_until=valid_until,
    )


def _replaces(parts: ReplyParts, reply: FactReply, batch: Batch, page_ids: Sequence[str]) -> tuple[str, ...]:
    """Returns the ids of the replaced facts. A fact that was stated later than the pages can't be replaced by them."""
    known = shown_facts(batch)
    stated_at = max(page.at for page in batch.pages if page.page_id in page_ids)
    replaced = [known[number - 1] for number in _numbers(parts, "replaces", reply.replaces, len(known))]
    older = [each for each in replaced if each.stated_at <= stated_at]
    if len(older) < len(replaced):
        parts.drop("replaces: a fact that was stated later")
    return tuple(each.knowledge_id for each in older)


def _keywords(words: Sequence[str]) -> frozenset[str]:
    folded = (fold(each).strip() for each in words[:KEYWORDS_READ])
    return frozenset(word for word in folded if 0 < len(word) <= LONGEST_WORD)


def _numbers(parts: ReplyParts, name: str, numbers: Iterable[int], count: int) -> list[int]:
    """Returns the numbers from 1 to ``count``, sorted and each once. The others are counted as dropped."""
    wanted = set(numbers)
    known = sorted(each for each in wanted if 1 <= each <= count)
    if len(known) < len(wanted):
        parts.drop(f"{name}: a number that was not shown")
    return known


def _since(text: str) -> datetime | None:
    period = _period(text)
    return None if period is None else period[0]


def _until(text: str, page: Page) -> datetime | None:
    """Returns the end of a period. If the period contains the time of the page, it is this time."""
    period = _period(text)
    if period is None:
        return None
    first, end = period
    return min(end, page.at) if first.date() <= page.day else end


def _period(text: str) -> tuple[datetime, datetime] | None:
    """Returns the start and the end of a year, month or day, e.g. "2026-05"; None for another text."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    try:
        first = datetime(year or 0, month or 1, day or 1, tzinfo=timezone.utc)
        if day:
            return first, first + timedelta(days=1)
        if month and month < 12:  # noqa: PLR2004
            return first, first.replace(month=month + 1)
        return first, first.replace(year=first.year + 1, month=1)
    except (ValueError, OverflowError):
        return None


def _chosen(text: str, values: Iterable[_Value]) -> _Value | None:
    return next((each for each in values if each == text.lower()), None)


def _check_language(texts: Iterable[str], pages: Sequence[Page]) -> None:
    source = " ".join(page.text(side) for page in pages for side in page.speaking())
    said = list(texts)
    whole = [each for each in said if len(each) >= LETTERS_TO_JUDGE]
    if any(is_in_other_language(each, source) for each in (" ".join(said), *whole)):
        raise InvalidReplyError("the reply must be in the language of the conversation")
