"""What the LLM's replies say: page numbers become page ids, and what breaks the contract is refused."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from memoryos.analysts.prompts.digest import DigestReply
from memoryos.analysts.prompts.learn import LearnReply
from memoryos.analysts.prompts.shapes import read_reply
from memoryos.analysts.traits import dimensions
from memoryos.errors import InvalidReplyError
from memoryos.language.reply_language import is_in_other_language
from memoryos.language.text import fold, terms
from memoryos.model import Attribute, Trait
from memoryos.seams import Digest, Fact, Lesson, Topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memoryos.model import Knowledge, Page
    from memoryos.seams import Batch, Material

__all__ = ["read_digest", "read_lesson", "related_knowledge"]

RELATED_SHOWN = 12
"""Known facts that a lesson is shown: those that share most words with its pages."""
EVIDENCE_KEPT = 12
MAX_TOPICS = 2
KEYWORDS_READ = 12
LONGEST_WORD = 80
"""Characters of a keyword or of an attribute's name; what is longer is none."""
LETTERS_TO_JUDGE = 20
"""A text of a reply from this length on must by itself be in the language of the pages; a name need not."""
_NAME = re.compile(r"[\W_]+")
_SINCE = re.compile(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")


def read_digest(text: str, batch: Batch) -> Digest:
    """Returns the digest of a reply.

    Raises:
        InvalidReplyError: If it is no such reply, names pages that were not shown, leaves pages out, has an empty
            summary or speaks another language than the pages.
    """
    reply = read_reply(text, DigestReply)
    pages = batch.pages
    firsts = [chain.first_page for chain in reply.chains]
    if not firsts or firsts[0] != 1 or firsts != sorted(set(firsts)) or firsts[-1] > len(pages):
        raise InvalidReplyError(f"chains must begin with page 1 and go up, within 1 to {len(pages)}")
    if not 1 <= len(reply.topics) <= MAX_TOPICS:
        raise InvalidReplyError(f"{len(reply.topics)} topics; one or two are allowed")
    placed = [number for topic in reply.topics for number in topic.pages]
    if sorted(placed) != list(range(1, len(pages) + 1)):
        raise InvalidReplyError(f"the topics must hold each page from 1 to {len(pages)} exactly once")
    summaries = [chain.summary for chain in reply.chains] + [topic.summary for topic in reply.topics]
    if not all(summaries) or not all(topic.pages for topic in reply.topics):
        raise InvalidReplyError("a summary or a topic is empty")
    _check_language(summaries, pages)
    return Digest(
        continues=tuple(
            batch.previous is not None and reply.continues if number == 1 else number not in firsts
            for number in range(1, len(pages) + 1)
        ),
        chain_summaries=tuple(chain.summary for chain in reply.chains),
        topics=tuple(
            Topic(
                topic.summary,
                _keywords(topic.keywords),
                tuple(pages[number - 1].page_id for number in sorted(topic.pages)),
            )
            for topic in reply.topics
        ),
    )


def read_lesson(text: str, material: Material, related: Sequence[Knowledge]) -> Lesson:
    """Returns the lesson of a reply.

    What is known word for word is left out. A fact whose pages are older than those of the entry that it claims to
    replace goes into history itself: segments are not read in the order in which they were said.

    Raises:
        InvalidReplyError: If it is no such reply, names pages, facts or traits that were not shown, or speaks another
            language than the pages.
    """
    reply = read_reply(text, LearnReply)
    pages = material.pages
    words = [each.value for each in reply.attributes] + [each.reason for each in reply.traits]
    _check_language([*words, *(each.text for each in reply.knowledge)], pages)
    dropped = {related[number - 1].knowledge_id for number in _numbers("drop", reply.drop, len(related))}
    known = {fold(entry.text) for entry in material.knowledge if entry.knowledge_id not in dropped}
    facts: list[Fact] = []
    for each in reply.knowledge:
        replaced = [related[number - 1] for number in _numbers("replaces", each.replaces, len(related))]
        sources = _page_ids("knowledge", each.pages, pages)
        if not each.text:
            raise InvalidReplyError("a knowledge text is empty")
        if fold(each.text) in known:
            continue
        known.add(fold(each.text))
        kept = [entry for entry in replaced if entry.knowledge_id not in dropped]
        newer = [entry for entry in kept if max(entry.source_page_ids, default="") > max(sources)]
        older = tuple(entry.knowledge_id for entry in replaced if entry not in newer)
        superseded_by = newer[0].knowledge_id if newer else None
        facts.append(Fact(each.about, each.text, sources, _since(each.since), older, superseded_by))
    return Lesson(
        attributes=tuple(_attributes(reply, pages)),
        traits=tuple(_traits(reply, material)),
        facts=tuple(facts),
        dropped=tuple(sorted(dropped)),
    )


def related_knowledge(material: Material) -> list[Knowledge]:
    """Returns the known facts that share most words with the pages, oldest first; rare words count more."""
    said = {term for page in material.pages for side in page.speaking() for term in terms(page.text(side))}
    found = {entry.knowledge_id: set(terms(entry.text)) for entry in material.knowledge}
    spread = Counter(term for words in found.values() for term in words)
    shared = {key: sum(1 / spread[term] for term in words & said) for key, words in found.items()}
    best = sorted(material.knowledge, key=lambda entry: (-shared[entry.knowledge_id], entry.knowledge_id))
    kept = {entry.knowledge_id for entry in best[:RELATED_SHOWN] if shared[entry.knowledge_id] > 0}
    return [entry for entry in material.knowledge if entry.knowledge_id in kept]


def _keywords(said: Sequence[str]) -> frozenset[str]:
    folded = (fold(each).strip() for each in said[:KEYWORDS_READ])
    return frozenset(word for word in folded if 0 < len(word) <= LONGEST_WORD)


def _attributes(reply: LearnReply, pages: Sequence[Page]) -> Iterable[Attribute]:
    for each in reply.attributes:
        name = _NAME.sub("_", each.name.lower()).strip("_")
        if not name or not each.value:
            raise InvalidReplyError("an attribute is empty")
        if len(name) > LONGEST_WORD:
            raise InvalidReplyError("the name of an attribute is too long")
        yield Attribute(name, each.value, _page_ids("attributes", each.pages, pages))


def _traits(reply: LearnReply, material: Material) -> Iterable[Trait]:
    by_name = {each.name.lower(): each for each in dimensions()}
    earlier = {(each.category, each.dimension): each.evidence_page_ids for each in material.profile.traits}
    for each in reply.traits:
        dimension = by_name.get(each.trait.lower())
        if dimension is None or not each.reason:
            raise InvalidReplyError("a trait is none of the 90, or has no reason")
        key = (dimension.category, dimension.name)
        evidence = sorted({*earlier.get(key, ()), *_page_ids("traits", each.pages, material.pages)})
        yield Trait(*key, each.level, each.reason, tuple(evidence[-EVIDENCE_KEPT:]))


def _page_ids(what: str, numbers: Sequence[int], pages: Sequence[Page]) -> tuple[str, ...]:
    if not numbers:
        raise InvalidReplyError(f"{what}: an entry names no page")
    return tuple(pages[number - 1].page_id for number in _numbers(what, numbers, len(pages)))


def _numbers(what: str, numbers: Iterable[int], count: int) -> list[int]:
    wanted = sorted(set(numbers))
    if wanted and not 1 <= wanted[0] <= wanted[-1] <= count:
        raise InvalidReplyError(f"{what}: a number was not shown; 1 to {count} were")
    return wanted


def _since(text: str) -> datetime | None:
    match = _SINCE.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part) if part else 1 for part in match.groups())
    try:
        return datetime(year, month, day, tzinfo=timezone.utc)
    except ValueError:
        return None


def _check_language(texts: Iterable[str], pages: Sequence[Page]) -> None:
    source = " ".join(page.text(side) for page in pages for side in page.speaking())
    said = list(texts)
    whole = [each for each in said if len(each) >= LETTERS_TO_JUDGE]
    if any(is_in_other_language(each, source) for each in (" ".join(said), *whole)):
        raise InvalidReplyError("the reply must be in the language of the conversation")
