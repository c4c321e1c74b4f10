"""Checks an analyst's ``Lesson`` (new facts and profile changes) and converts it to facts and traits to store.

A lesson is the analyst's reply after it has read pages. The merging follows §3.3 of Kang et al. 2025.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from memoryos.current_facts import fact_id, repetitions_of
from memoryos.errors import InvalidReplyError
from memoryos.language.text import fold
from memoryos.model import ABOUT, Attribute, Knowledge, Profile
from memoryos.seams import Fact
from memoryos.slots import slot_named

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from memoryos.model import Origin, Page
    from memoryos.seams import Lesson, Material

__all__ = [
    "LessonFacts",
    "LessonReader",
    "check_lesson",
    "merge_profile",
    "over_capacity",
    "without_pages",
    "without_refused",
]

_LESSON_REFERENCE = re.compile(r"#(\d+)\Z")


@dataclass(frozen=True, slots=True)
class LessonFacts:
    """The facts of a lesson, in the form in which they are stored.

    Attributes:
        added: New facts, each id once.
        replaced: Ids of stored facts that other stored facts replace, by id of the newer fact.
    """

    added: tuple[Knowledge, ...]
    replaced: dict[str, tuple[str, ...]]


def check_lesson(material: Material, lesson: Lesson) -> None:
    """Checks a lesson against the rules of ``seams.Lesson``.

    Args:
        material: The pages, facts and profile that the analyst received.
        lesson: The facts and profile changes that the analyst returned.

    Raises:
        InvalidReplyError: If an attribute, trait or fact has no source page, or refers to a page or fact that the
            analyst did not receive. Also if a fact has no text.
    """
    received_ids = {page.page_id for page in material.pages}
    citable_ids = received_ids | {page_id for trait in material.profile.traits for page_id in trait.evidence_page_ids}
    current_ids = {entry.knowledge_id for entry in material.knowledge}
    for attribute in lesson.attributes:
        _check_sources(f"attribute {attribute.name}", attribute.source_page_ids, received_ids)
    for trait in lesson.traits:
        _check_sources(f"trait {trait.dimension}", trait.evidence_page_ids, citable_ids)
    for index, fact in enumerate(lesson.facts):
        _check_sources(f"fact {index}", fact.source_page_ids, received_ids)
        if not fact.text.strip():
            raise InvalidReplyError(f"fact {index} in the analyst's reply has no text")
        for other in (*fact.supersedes, *((fact.superseded_by,) if fact.superseded_by else ())):
            other_index = _lesson_index(other)
            if other not in current_ids and (other_index is None or other_index >= index):
                raise InvalidReplyError(
                    f"fact {index} in the analyst's reply refers to {other!r}, "
                    "which is neither a fact that the analyst received nor an earlier fact in the reply"
                )
    if not current_ids.issuperset(lesson.dropped):
        raise InvalidReplyError(
            "'dropped' in the analyst's reply contains the id of a fact that the analyst did not receive"
        )


def without_pages(profile: Profile, page_ids: AbstractSet[str]) -> Profile:
    """Returns the profile without the traits that have only these pages as evidence."""
    return replace(
        profile, traits=tuple(each for each in profile.traits if not page_ids >= set(each.evidence_page_ids))
    )


def without_refused(lesson: Lesson, refused: Container[str]) -> Lesson:
    """Returns the lesson without facts and attributes that were forgotten or corrected earlier.

    Facts of a lesson refer to each other by their number, such as "#0". These references are renumbered, and references
    to removed facts are deleted.

    Args:
        lesson: The lesson.
        refused: Texts of forgotten and corrected facts and attributes.
    """
    kept = [index for index, fact in enumerate(lesson.facts) if fact.text not in refused]
    new_references = {f"#{index}": f"#{new}" for new, index in enumerate(kept)}
    facts = [lesson.facts[index] for index in kept]
    return replace(
        lesson,
        attributes=tuple(each for each in lesson.attributes if f"{each.name}: {each.value}" not in refused),
        facts=tuple(
            replace(
                fact,
                supersedes=tuple(
                    new_references.get(each, each)
                    for each in fact.supersedes
                    if not _refers_to_removed(each, new_references)
                ),
                superseded_by=None
                if _refers_to_removed(fact.superseded_by or "", new_references)
                else new_references.get(fact.superseded_by or "", fact.superseded_by),
            )
            for fact in facts
        ),
    )


def _refers_to_removed(reference: str, new_references: Mapping[str, str]) -> bool:
    return _lesson_index(reference) is not None and reference not in new_references


def merge_profile(
    current: Profile, lesson: Lesson, now: datetime, origin: Origin, *, kept: Profile | None = None
) -> Profile | None:
    """Merges the traits of a lesson into the profile. A new trait replaces the one of the same dimension.

    Args:
        current: The current profile.
        lesson: The lesson.
        now: Recording time of the new version.
        origin: The analyst that created the lesson.
        kept: The current profile without the traits to remove. Default: ``current``.

    Returns:
        The next version of the profile, without attributes; None if no trait changes.
    """
    traits = {(each.category, each.dimension): each for each in (kept or current).traits}
    new_traits = traits | {(each.category, each.dimension): each for each in lesson.traits}
    if set(new_traits.values()) == set(current.traits):
        return None
    return Profile(
        version=current.version + 1,
        traits=tuple(sorted(new_traits.values(), key=lambda each: (each.category, each.dimension))),
        recorded_at=now,
        origin=origin,
    )


@dataclass(slots=True)
class LessonReader:
    """Converts the attributes and facts of a lesson to facts that can be stored.

    Attributes:
        scope_id: Id of the scope.
        pages: The pages that the analyst received.
        known: The current facts that the analyst received.
        origin: The analyst.
        now: Recording time of the facts.
    """

    scope_id: str
    pages: Sequence[Page]
    known: Sequence[Knowledge]
    origin: Origin
    now: datetime
    _added: dict[str, Knowledge] = field(default_factory=dict)
    _replaced: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def read(self, lesson: Lesson) -> LessonFacts:
        """Returns the facts to store.

        The fact that was stated later replaces the other one, whichever of them the analyst named as the newer one:
        pages may be read in another order than that in which they were said. An attribute that one of the facts states
        too is not stored twice.
        """
        ids = [self._add(fact) for fact in lesson.facts]
        for attribute in lesson.attributes:
            if not any(_states(fact, attribute) for fact in lesson.facts):
                self._add(_attribute_fact(attribute))
        for fact, knowledge_id in zip(lesson.facts, ids, strict=True):
            for other in (*fact.supersedes, *((fact.superseded_by,) if fact.superseded_by else ())):
                index = _lesson_index(other)
                self._replace(other if index is None else ids[index], knowledge_id, is_newer=other in fact.supersedes)
        return LessonFacts(tuple(self._added.values()), self._replaced)

    def _add(self, fact: Fact) -> str:
        """Adds a fact, or its source pages if the lesson contains it already; returns its id."""
        sources = [page for page in self.pages if page.page_id in fact.source_page_ids]
        newest = max(sources, key=lambda page: (page.at, page.seq))
        subject = fact.subject or fact.about
        knowledge_id = fact_id(self.scope_id, newest.page_id, subject, fact.slot, fact.text)
        known = self._added.get(knowledge_id)
        page_ids = (*(known.source_page_ids if known else ()), *(page.page_id for page in sources))
        self._added[knowledge_id] = Knowledge(
            knowledge_id=knowledge_id,
            about=fact.about,
            text=fact.text,
            recorded_at=self.now,
            valid_from=fact.valid_from,
            superseded_by=None,
            archived_at=None,
            source_page_ids=tuple(sorted({*page_ids})),
            origin=self.origin,
            subject=subject,
            slot=fact.slot,
            value=fact.value,
            stated_at=newest.at,
        )
        return knowledge_id

    def _replace(self, one: str, other: str, *, is_newer: bool) -> None:
        """Notes that the fact stated later replaces the other one.

        If both were stated at the same time, ``is_newer`` tells whether ``other`` replaces ``one``.
        """
        stored = {each.knowledge_id: each for each in self.known}
        first, second = (self._added.get(each) or stored[each] for each in (one, other))
        is_later = second.stated_at >= first.stated_at if is_newer else second.stated_at > first.stated_at
        newer, older = (other, one) if is_later else (one, other)
        if newer == older:
            return
        if newer in self._added:
            fact = self._added[newer]
            self._added[newer] = replace(fact, replaces=tuple(dict.fromkeys((*fact.replaces, older))))
        else:
            self._replaced[newer] = (*self._replaced.get(newer, ()), older)


def over_capacity(facts: Sequence[Knowledge], current: Iterable[Knowledge], capacity: int) -> list[str]:
    """Returns the ids of the facts to archive, because the user or the assistant has more current facts than allowed.

    These are the facts that were stated first, with their repetitions. Facts with a slot are never archived.

    Args:
        facts: All facts of the scope.
        current: The current facts, in the order in which they were stated.
        capacity: Maximum number of current facts of each side.
    """
    current = list(current)
    surplus: list[str] = []
    for about in ABOUT:
        side = [each for each in current if each.about == about]
        others = [each.knowledge_id for each in side if each.slot is None]
        surplus += others[: max(0, len(side) - capacity)]
    return [each.knowledge_id for each in repetitions_of(facts, surplus)] if surplus else []


def _states(fact: Fact, attribute: Attribute) -> bool:
    """Returns whether a fact states an attribute too."""
    slot = slot_named(attribute.name)
    if slot is not None:
        return (fact.slot, fact.value) == (slot, attribute.value)
    has_same_source = not {*fact.source_page_ids}.isdisjoint(attribute.source_page_ids)
    return has_same_source and fact.about == "user" and fold(attribute.value) in fold(fact.text)


def _attribute_fact(attribute: Attribute) -> Fact:
    """Returns the fact that an attribute states. It has no slot if the name of the attribute is unknown."""
    slot = slot_named(attribute.name)
    text = f"{(slot or attribute.name).replace('_', ' ')}: {attribute.value}"
    return Fact("user", text, attribute.source_page_ids, slot=slot, value=attribute.value if slot else None)


def _lesson_index(reference: str) -> int | None:
    """Parses a reference to a fact of the same lesson, such as "#0".

    Returns:
        The index of the fact, e.g. 0 for "#0"; None if the reference is the id of a stored fact.
    """
    match = _LESSON_REFERENCE.match(reference)
    return int(match.group(1)) if match else None


def _check_sources(what: str, page_ids: Sequence[str], known: set[str]) -> None:
    if not page_ids:
        raise InvalidReplyError(f"{what} in the analyst's reply has no source page")
    unknown = [page_id for page_id in page_ids if page_id not in known]
    if unknown:
        raise InvalidReplyError(
            f"{what} in the analyst's reply cites page {unknown[0]!r}, which the analyst did not receive"
        )
