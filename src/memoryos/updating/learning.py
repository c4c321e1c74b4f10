"""The step that learns: the unlearned pages of one hot segment become profile and knowledge (§3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.identifiers import new_id
from memoryos.model import Knowledge, Segment
from memoryos.seams import Fact, Lesson, Material
from memoryos.storage.long_term import Learning
from memoryos.updating.long_term import check_lesson, merge_knowledge, merge_profile

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.seams import Analyst
    from memoryos.storage.scopes import Lease
    from memoryos.storage.store import Store

__all__ = ["Learner"]

PAGES_A_LESSON = 50
"""A segment with more unlearned pages is read in several lessons; it stays due until all are read."""


class Learner:
    """Has the analyst read a segment's unlearned pages and commits what it learned."""

    def __init__(self, store: Store, analyst: Analyst, config: Config, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._analyst = analyst
        self._config = config
        self._clock = clock

    def learn(self, lease: Lease, segment: Segment) -> None:
        """Learns from the oldest unlearned pages of a segment with one call of the analyst.

        Raises:
            AnalystError: If the analyst failed or broke its contract; nothing is written then.
            StoreConflictError: If the lease was lost meanwhile; nothing is written then.
        """
        unlearned = self._store.log.unlearned(lease.scope_id, segment.segment_id, PAGES_A_LESSON + 1)
        pages = tuple(unlearned[:PAGES_A_LESSON])
        current = tuple(self._store.long_term.knowledge(lease.scope_id))
        profile = self._store.long_term.profile(lease.scope_id)
        material = Material(pages, profile, current)
        lesson = self._analyst.learn(material) if pages else Lesson()
        check_lesson(material, lesson)
        now = self._clock()
        knowledge = merge_knowledge(
            current, lesson.facts, lambda fact: self._entry(fact, now), self._config.long_term_knowledge_capacity
        )
        change = Learning(
            segment_id=segment.segment_id,
            learned_page_ids=tuple(page.page_id for page in pages),
            left_pages=max(0, segment.length - len(pages)) if len(unlearned) > len(pages) else 0,
            profile=merge_profile(profile, lesson, now, self._analyst.origin),
            added=knowledge.added,
            superseded=knowledge.superseded,
            archived=knowledge.archived,
        )
        self._store.long_term.apply(lease, change, now)

    def _entry(self, fact: Fact, now: datetime) -> Knowledge:
        return Knowledge(
            knowledge_id=new_id(),
            about=fact.about,
            text=fact.text,
            recorded_at=now,
            valid_from=fact.valid_from,
            superseded_by=None,
            archived_at=None,
            source_page_ids=fact.source_page_ids,
            origin=self._analyst.origin,
        )
