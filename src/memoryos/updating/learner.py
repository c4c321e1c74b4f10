"""The learning step: the analyst extracts facts and profile changes from a hot segment.

The analyst is an LLM or local rules. A hot segment was recalled often or recently (§3.3 of Kang et al. 2025).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memoryos.current_facts import repetitions_of, view_facts
from memoryos.model import CORRECTION, SHARED, Segment
from memoryos.seams import Lesson, Material
from memoryos.storage.long_term_table import Learning, SegmentLearned
from memoryos.updating.lesson_merging import (
    LessonReader,
    check_lesson,
    merge_profile,
    over_capacity,
    without_pages,
    without_refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.model import Knowledge, Page
    from memoryos.seams import Analyst
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.lesson_merging import LessonFacts
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["LEARN", "Learner"]

LEARN = "learn"
"""Name of this step in logs and in the usage ledger."""

PAGES_PER_LESSON = 50
"""Maximum number of pages that the analyst reads in one call.

A segment with more unlearned pages needs several calls, and stays due until all pages are read.
"""
TOKENS_PER_PAGE = 160
"""Number of tokens of the model's context reserved for each page.

With a small context, the analyst reads fewer pages in one call.
"""


class Learner:
    """Extracts facts and profile changes from pages with the analyst, and commits them.

    The analyst returns these changes as a ``Lesson``.

    Args:
        store: The store.
        analyst: Reads the pages.
        config: Supplies the maximum number of facts and the context size of the model.
        ledger: Records token usage.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(
        self, store: Store, analyst: Analyst, config: Config, ledger: UsageLedger, *, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._analyst = analyst
        self._config = config
        self._ledger = ledger
        self._pages_per_lesson = max(1, min(PAGES_PER_LESSON, config.llm_context_tokens // TOKENS_PER_PAGE))
        self._clock = clock

    def learn(self, lease: Lease, segment: Segment) -> None:
        """Extracts facts from the oldest unlearned pages of a segment, with one call of the analyst.

        Raises:
            AnalystError: If the analyst failed or returned an invalid result; nothing was written.
            StoreConflictError: If another worker took the lease; nothing was written.
        """
        limit = self._pages_per_lesson
        unlearned = self._store.log.unlearned(lease.scope_id, segment.segment_id, limit + 1)
        remaining_pages = max(0, segment.length - limit) if len(unlearned) > limit else 0
        self._read(lease, tuple(unlearned[:limit]), SegmentLearned(segment.segment_id, remaining_pages))

    def learn_again(self, lease: Lease) -> bool:
        """Extracts facts again from pages that the fallback analyst has read.

        The new facts replace the facts, attributes and traits that have only these pages as sources; all changes are
        made in one transaction. One call reads the oldest of these pages, all of one segment.

        Returns:
            False if there are no such pages.

        Raises:
            AnalystError: If the analyst failed or returned an invalid result; nothing was written.
            StoreConflictError: If another worker took the lease; nothing was written.
        """
        pages = tuple(self._store.log.learned_provisionally(lease.scope_id, self._pages_per_lesson))
        if pages:
            self._read(lease, pages, None)
        return bool(pages)

    def _read(self, lease: Lease, pages: tuple[Page, ...], learned: SegmentLearned | None) -> None:
        """Extracts facts from pages with one call of the analyst, and commits them.

        Args:
            lease: The lease on the scope.
            pages: The pages.
            learned: The new counter of unlearned pages of the segment; None if facts were extracted from these
                pages before.
        """
        now = self._clock()
        stored = self._store.long_term.facts(lease.scope_id)
        again = frozenset(page.page_id for page in pages) if learned is None else frozenset()
        withdrawn = [each.knowledge_id for each in stored if _is_withdrawn(each, again)]
        kept = [each for each in stored if each.knowledge_id not in {*withdrawn}]
        view = view_facts(kept, now)
        profile = self._store.long_term.traits(lease.scope_id)
        material = Material(pages, replace(without_pages(profile, again), attributes=view.attributes()), view.current)
        meter = self._ledger.meter(lease.scope_id, LEARN)
        lesson = self._analyst.learn(material, meter) if pages else Lesson()
        check_lesson(material, lesson)
        lesson = without_refused(lesson, self._store.forgetting.refusals(lease.scope_id))
        origin = lesson.origin or self._analyst.origin
        found = LessonReader(lease.scope_id, pages, view.current, origin, now).read(lesson)
        dropped = [each.knowledge_id for each in repetitions_of(kept, lesson.dropped)]
        active = _merged([each for each in kept if each.knowledge_id not in dropped], found)
        surplus = over_capacity(active, view_facts(active, now).current, self._config.long_term_knowledge_capacity)
        added = [replace(each, archived_at=now) if each.knowledge_id in surplus else each for each in found.added]
        added_ids = {each.knowledge_id for each in added}
        change = Learning(
            segment=learned,
            learned_page_ids=tuple(page.page_id for page in pages),
            profile=merge_profile(profile, lesson, now, origin, kept=material.profile),
            added=tuple(added),
            replaced=found.replaced,
            archived=tuple(each for each in (*withdrawn, *dropped, *surplus) if each not in added_ids),
            provisional=origin != self._analyst.origin,
        )
        self._store.long_term.apply(lease, change, now)


def _is_withdrawn(fact: Knowledge, page_ids: frozenset[str]) -> bool:
    """Returns whether a fact is only based on pages that are read again."""
    is_derived = bool(fact.source_page_ids) and fact.origin.analyst not in {CORRECTION.analyst, SHARED.analyst}
    return is_derived and fact.archived_at is None and page_ids.issuperset(fact.source_page_ids)


def _merged(kept: list[Knowledge], found: LessonFacts) -> list[Knowledge]:
    """Returns the stored facts together with those of a lesson."""
    facts = {each.knowledge_id: each for each in kept} | {each.knowledge_id: each for each in found.added}
    for newer, older in found.replaced.items():
        facts[newer] = replace(facts[newer], replaces=(*facts[newer].replaces, *older))
    return [*facts.values()]
