"""The step that learns: the unlearned pages of one hot segment become profile and knowledge (§3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memoryos.identifiers import new_id
from memoryos.model import Knowledge, Segment
from memoryos.seams import Fact, Lesson, Material
from memoryos.storage.long_term import Learning, SegmentLearned
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
    from memoryos.storage.scopes import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["LEARN", "Learner"]

LEARN = "learn"
"""What the ledger and the log call this step."""

PAGES_A_LESSON = 50
"""A segment with more unlearned pages is read in several lessons; it stays due until all are read."""
TOKENS_A_PAGE = 160
"""Of the model's context, for one page of a lesson as an excerpt; a small context reads fewer pages at once."""


class Learner:
    """Has the analyst read a segment's unlearned pages and commits what it learned."""

    def __init__(
        self, store: Store, analyst: Analyst, config: Config, ledger: UsageLedger, *, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._analyst = analyst
        self._config = config
        self._ledger = ledger
        self._pages_a_lesson = max(1, min(PAGES_A_LESSON, config.llm_context_tokens // TOKENS_A_PAGE))
        self._clock = clock

    def learn(self, lease: Lease, segment: Segment) -> None:
        """Learns from the oldest unlearned pages of a segment with one call of the analyst.

        Raises:
            AnalystError: If the analyst failed or broke its contract; nothing is written then.
            StoreConflictError: If the lease was lost meanwhile; nothing is written then.
        """
        unlearned = self._store.log.unlearned(lease.scope_id, segment.segment_id, self._pages_a_lesson + 1)
        left_pages = max(0, segment.length - self._pages_a_lesson) if len(unlearned) > self._pages_a_lesson else 0
        counted = SegmentLearned(segment.segment_id, left_pages)
        self._read(lease, tuple(unlearned[: self._pages_a_lesson]), counted)

    def learn_again(self, lease: Lease) -> bool:
        """Learns from the oldest pages of one segment that a stand-in learned from; False if there are none.

        What the stand-in learned from these pages, and from no others, is withdrawn in the same moment.

        Raises:
            AnalystError: If the analyst failed or broke its contract; nothing is written then.
            StoreConflictError: If the lease was lost meanwhile; nothing is written then.
        """
        pages = tuple(self._store.log.learned_provisionally(lease.scope_id, self._pages_a_lesson))
        if pages:
            self._read(lease, pages, None)
        return bool(pages)

    def _read(self, lease: Lease, pages: tuple[Page, ...], counted: SegmentLearned | None) -> None:
        known = tuple(self._store.long_term.knowledge(lease.scope_id))
        profile = self._store.long_term.profile(lease.scope_id)
        again = frozenset(page.page_id for page in pages) if counted is None else frozenset()
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
        left = withdrawn | set(lesson.dropped)
        change = Learning(
            segment=counted,
            learned_page_ids=tuple(page.page_id for page in pages),
            profile=merge_profile(profile, lesson, now, origin, kept=material.profile),
            added=knowledge.added,
            superseded=knowledge.superseded,
            archived=(*knowledge.archived, *sorted(left - set(knowledge.superseded))),
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
