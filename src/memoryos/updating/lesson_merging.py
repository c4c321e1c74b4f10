"""Lesson merging: checks an analyst's lesson and merges it into profile and knowledge (§3.3)."""

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

_PLACE = re.compile(r"#(\d+)\Z")


@dataclass(frozen=True, slots=True)
class NewKnowledge:
    """Changes of the knowledge by a lesson.

    Attributes:
        added: The new entries. An entry that a later fact of the same lesson replaces is superseded from the start.
        superseded: Id of the newer entry by id of the stored entry that it supersedes.
        archived: Ids of current entries beyond the capacity, oldest first.
    """

    added: tuple[Knowledge, ...]
    superseded: Mapping[str, str]
    archived: tuple[str, ...]


def check_lesson(material: Material, lesson: Lesson) -> None:
    """Checks a lesson against the contract of ``seams.Lesson``.

    Raises:
        InvalidReplyError: If an attribute, trait or fact has no source page, or refers to a page or an entry that the
            analyst did not receive; if a fact is empty.
    """
    shown = {page.page_id for page in material.pages}
    known = shown | _cited(material.profile)
    current = {entry.knowledge_id for entry in material.knowledge}
    for attribute in lesson.attributes:
        _check_sources(f"attribute {attribute.name}", attribute.source_page_ids, known)
    for trait in lesson.traits:
        _check_sources(f"trait {trait.dimension}", trait.evidence_page_ids, known)
    for index, fact in enumerate(lesson.facts):
        _check_sources(f"fact {index}", fact.source_page_ids, shown)
        if not fact.text.strip():
            raise InvalidReplyError(f"fact {index} of the lesson has no text")
        for other in (*fact.supersedes, *((fact.superseded_by,) if fact.superseded_by else ())):
            place = _place(other)
            if other not in current and (place is None or place >= index):
                raise InvalidReplyError(
                    f"fact {index} refers to {other}, which is neither a given entry nor an earlier fact of the lesson"
                )
    if not current.issuperset(lesson.dropped):
        raise InvalidReplyError("the lesson drops an entry that the analyst did not receive")


def without_pages(profile: Profile, page_ids: AbstractSet[str]) -> Profile:
    """Returns the profile without the attributes and traits whose only sources are these pages."""
    return replace(
        profile,
        attributes=tuple(each for each in profile.attributes if not page_ids >= set(each.source_page_ids)),
        traits=tuple(each for each in profile.traits if not page_ids >= set(each.evidence_page_ids)),
    )


def without_refused(lesson: Lesson, refused: Container[str]) -> Lesson:
    """Returns the lesson without facts and attributes that were forgotten or corrected.

    References between facts of the lesson ("#0") are renumbered; references to removed facts are removed.

    Args:
        lesson: The lesson.
        refused: Texts of forgotten and corrected facts and attributes.
    """
    kept = [index for index, fact in enumerate(lesson.facts) if fact.text not in refused]
    place = {f"#{index}": f"#{new}" for new, index in enumerate(kept)}
    facts = [lesson.facts[index] for index in kept]
    return replace(
        lesson,
        attributes=tuple(each for each in lesson.attributes if f"{each.name}: {each.value}" not in refused),
        facts=tuple(
            replace(
                fact,
                supersedes=tuple(place.get(each, each) for each in fact.supersedes if not _is_lost(each, place)),
                superseded_by=None
                if _is_lost(fact.superseded_by or "", place)
                else place.get(fact.superseded_by or "", fact.superseded_by),
            )
            for fact in facts
        ),
    )


def _is_lost(reference: str, place: Mapping[str, str]) -> bool:
    return _place(reference) is not None and reference not in place


def merge_profile(
    current: Profile, lesson: Lesson, now: datetime, origin: Origin, *, kept: Profile | None = None
) -> Profile | None:
    """Returns the next version of the profile; None if it does not change.

    A new attribute or trait replaces the one of the same name. Pages are not read in log order, so an attribute from
    older pages does not replace one from newer pages (page ids are UUIDv7, which sort in log order).

    Args:
        current: The profile before.
        lesson: The lesson.
        now: Recording time of the new version.
        origin: The analyst that created the lesson.
        kept: The current profile without withdrawn attributes and traits; default: ``current``.
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
    """Returns the changes of the knowledge, which is one FIFO queue about the user and one about the assistant.

    Args:
        current: Stored current entries, oldest first.
        facts: Facts of the lesson; "#0" in ``supersedes`` refers to the lesson's first fact.
        new_entry: Creates an entry from a fact, with id and recording time.
        capacity: Capacity of each queue; older entries are archived.
    """
    added: list[Knowledge] = []
    superseded: dict[str, str] = {}
    for fact in facts:
        entry = new_entry(fact)
        if fact.superseded_by is not None:
            place = _place(fact.superseded_by)
            entry = replace(entry, superseded_by=fact.superseded_by if place is None else added[place].knowledge_id)
        for older in fact.supersedes:
            place = _place(older)
            if place is None:
                superseded.setdefault(older, entry.knowledge_id)
            elif added[place].superseded_by is None:
                added[place] = replace(added[place], superseded_by=entry.knowledge_id)
        added.append(entry)
    active = [entry for entry in current if entry.knowledge_id not in superseded]
    active += [entry for entry in added if entry.superseded_by is None]
    return NewKnowledge(tuple(added), superseded, tuple(_beyond(active, capacity)))


def _beyond(active: Sequence[Knowledge], capacity: int) -> Iterable[str]:
    for about in ABOUT:
        queue = [entry.knowledge_id for entry in active if entry.about == about]
        yield from queue[: max(0, len(queue) - capacity)]


def _place(reference: str) -> int | None:
    """Parses a reference to a fact of the same lesson: 0 for "#0", 1 for "#1"; None for the id of a stored fact."""
    match = _PLACE.match(reference)
    return int(match.group(1)) if match else None


def _cited(profile: Profile) -> set[str]:
    owners: list[Attribute | Trait] = [*profile.attributes, *profile.traits]
    return {
        page_id
        for each in owners
        for page_id in (each.source_page_ids if isinstance(each, Attribute) else each.evidence_page_ids)
    }


def _check_sources(what: str, page_ids: Sequence[str], known: set[str]) -> None:
    if not page_ids:
        raise InvalidReplyError(f"{what} of the lesson has no source page")
    unknown = [page_id for page_id in page_ids if page_id not in known]
    if unknown:
        raise InvalidReplyError(f"{what} of the lesson cites page {unknown[0]}, which the analyst did not receive")
