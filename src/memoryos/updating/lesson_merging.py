"""Checks an analyst's ``Lesson`` (new facts and profile changes) and merges it into the memory.

A lesson is the analyst's reply after it has read pages. The merging follows §3.3 of Kang et al. 2025.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memoryos.errors import InvalidReplyError
from memoryos.model import ABOUT, Attribute, Knowledge, Profile, Trait

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from memoryos.model import Origin
    from memoryos.seams import Fact, Lesson, Material

__all__ = ["NewKnowledge", "check_lesson", "merge_knowledge", "merge_profile", "without_pages", "without_refused"]

_LESSON_REFERENCE = re.compile(r"#(\d+)\Z")


@dataclass(frozen=True, slots=True)
class NewKnowledge:
    """Changes of the stored facts that result from a lesson.

    Attributes:
        added: New facts. A new fact that a later fact of the same lesson replaces is stored as superseded.
        superseded: Ids of the stored facts that are replaced, mapped to the ids of the newer facts.
        archived: Ids of the oldest current facts, if the number of current facts exceeds the capacity.
    """

    added: tuple[Knowledge, ...]
    superseded: Mapping[str, str]
    archived: tuple[str, ...]


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
    citable_ids = received_ids | _source_pages(material.profile)
    current_ids = {entry.knowledge_id for entry in material.knowledge}
    for attribute in lesson.attributes:
        _check_sources(f"attribute {attribute.name}", attribute.source_page_ids, citable_ids)
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
    """Returns the profile without the attributes and traits that have only these pages as sources."""
    return replace(
        profile,
        attributes=tuple(each for each in profile.attributes if not page_ids >= set(each.source_page_ids)),
        traits=tuple(each for each in profile.traits if not page_ids >= set(each.evidence_page_ids)),
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
    """Merges the attributes and traits of a lesson into the profile.

    A new attribute or trait replaces the one with the same name. Exception: pages may be read out of order, so an
    attribute from older pages does not replace one from newer pages. Page ids are UUIDv7, so their order is the order
    of the log.

    Args:
        current: The current profile.
        lesson: The lesson.
        now: Recording time of the new version.
        origin: The analyst that created the lesson.
        kept: The current profile without the attributes and traits to remove. Default: ``current``.

    Returns:
        The next version of the profile; None if nothing changes.
    """
    kept = kept or current
    attributes = {each.name: each for each in kept.attributes}
    traits = {(each.category, each.dimension): each for each in kept.traits}
    new_attributes = attributes | {
        each.name: each
        for each in lesson.attributes
        if each.name not in attributes or max(each.source_page_ids) > max(attributes[each.name].source_page_ids)
    }
    new_traits = traits | {(each.category, each.dimension): each for each in lesson.traits}
    if set(new_attributes.values()) == set(current.attributes) and set(new_traits.values()) == set(current.traits):
        return None
    return Profile(
        version=current.version + 1,
        attributes=tuple(sorted(new_attributes.values(), key=lambda each: each.name)),
        traits=tuple(sorted(new_traits.values(), key=lambda each: (each.category, each.dimension))),
        recorded_at=now,
        origin=origin,
    )


def merge_knowledge(
    current: Sequence[Knowledge],
    facts: Sequence[Fact],
    new_entry: Callable[[Fact], Knowledge],
    capacity: int,
) -> NewKnowledge:
    """Merges the facts of a lesson into the current facts.

    Facts about the user and facts about the assistant are two queues. If a queue exceeds its capacity, its oldest facts
    are archived.

    Args:
        current: Stored current facts, oldest first.
        facts: Facts of the lesson. In ``supersedes``, "#0" refers to the first fact of the lesson.
        new_entry: Creates the entry to store, with id and recording time, from a fact.
        capacity: Maximum number of current facts in each queue.
    """
    added: list[Knowledge] = []
    superseded: dict[str, str] = {}
    for fact in facts:
        entry = new_entry(fact)
        if fact.superseded_by is not None:
            index = _lesson_index(fact.superseded_by)
            entry = replace(entry, superseded_by=fact.superseded_by if index is None else added[index].knowledge_id)
        for older in fact.supersedes:
            index = _lesson_index(older)
            if index is None:
                superseded.setdefault(older, entry.knowledge_id)
            elif added[index].superseded_by is None:
                added[index] = replace(added[index], superseded_by=entry.knowledge_id)
        added.append(entry)
    active = [entry for entry in current if entry.knowledge_id not in superseded]
    active += [entry for entry in added if entry.superseded_by is None]
    return NewKnowledge(tuple(added), superseded, tuple(_over_capacity(active, capacity)))


def _over_capacity(active: Sequence[Knowledge], capacity: int) -> Iterable[str]:
    for about in ABOUT:
        queue = [entry.knowledge_id for entry in active if entry.about == about]
        yield from queue[: max(0, len(queue) - capacity)]


def _lesson_index(reference: str) -> int | None:
    """Parses a reference to a fact of the same lesson, such as "#0".

    Returns:
        The index of the fact, e.g. 0 for "#0"; None if the reference is the id of a stored fact.
    """
    match = _LESSON_REFERENCE.match(reference)
    return int(match.group(1)) if match else None


def _source_pages(profile: Profile) -> set[str]:
    owners: list[Attribute | Trait] = [*profile.attributes, *profile.traits]
    return {
        page_id
        for each in owners
        for page_id in (each.source_page_ids if isinstance(each, Attribute) else each.evidence_page_ids)
    }


def _check_sources(what: str, page_ids: Sequence[str], known: set[str]) -> None:
    if not page_ids:
        raise InvalidReplyError(f"{what} in the analyst's reply has no source page")
    unknown = [page_id for page_id in page_ids if page_id not in known]
    if unknown:
        raise InvalidReplyError(
            f"{what} in the analyst's reply cites page {unknown[0]!r}, which the analyst did not receive"
        )
