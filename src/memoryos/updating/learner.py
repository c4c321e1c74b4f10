"""The learning step: the analyst extracts facts and profile changes from a hot segment.

The analyst is an LLM or local rules. A hot segment was recalled often or recently (§3.3 of Kang et al. 2025).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.identifiers import new_id
from memoryos.model import Knowledge, Segment
from memoryos.seams import Fact, Lesson, Material
from memoryos.storage.long_term_table import Learning, SegmentLearned
from memoryos.updating.lesson_merging import (
    check_lesson,
    merge_knowledge,
    merge_profile,
    without_pages,
    without_refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.model import Origin, Page
    from memoryos.seams import Analyst
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
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
        known = tuple(self._store.long_term.knowledge(lease.scope_id))
        profile = self._store.long_term.profile(lease.scope_id)
        again = frozenset(page.page_id for page in pages) if learned is None else frozenset()
        withdrawn = {each.knowledge_id for each in known if again.issuperset(each.source_page_ids)}
        current = tuple(each for each in known if each.knowledge_id not in withdrawn)
        material = Material(pages, without_pages(profile, again), current)
        meter = self._ledger.meter(lease.scope_id, LEARN)
        lesson = self._analyst.learn(material, meter) if pages else Lesson()
        check_lesson(material, lesson)
        lesson = without_refused(lesson, self._store.forgetting.refusals(lease.scope_id))
        origin = lesson.origin or self._analyst.origin
        now = self._clock()
        knowledge = merge_knowledge(
            [entry for entry in current if entry.knowledge_id not in lesson.dropped],
            lesson.facts,
            lambda fact: _entry(fact, now, origin),
            self._config.long_term_knowledge_capacity,
        )
        dropped = withdrawn | set(lesson.dropped)
        change = Learning(
            segment=learned,
            learned_page_ids=tuple(page.page_id for page in pages),
            profile=merge_profile(profile, lesson, now, origin, kept=material.profile),
            added=knowledge.added,
            superseded=knowledge.superseded,
            archived=(*knowledge.archived, *sorted(dropped - set(knowledge.superseded))),
            provisional=origin != self._analyst.origin,
        )
        self._store.long_term.apply(lease, change, now)


def _entry(fact: Fact, now: datetime, origin: Origin) -> Knowledge:
    return Knowledge(
        knowledge_id=new_id(),
        about=fact.about,
        text=fact.text,
        recorded_at=now,
        valid_from=fact.valid_from,
        superseded_by=None,
        archived_at=None,
        source_page_ids=fact.source_page_ids,
        origin=origin,
    )
