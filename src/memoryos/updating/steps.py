"""The steps that update a scope, and the rules that decide which step is due.

A scope is the memory of one user and one assistant. Examples of steps: embed new pages, read them, infer traits from
hot segments, archive segments that are rarely recalled. The steps follow Kang et al. 2025, §3.2 and §3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from memoryos.optional_methods import reads_immediately
from memoryos.seams import MAX_BATCH_PAGES
from memoryos.updating.embedding import EmbeddingStep
from memoryos.updating.heat import coldest, hot
from memoryos.updating.null_analyst import NullAnalyst
from memoryos.updating.profiling import PROFILE, Profiler
from memoryos.updating.reading import READ, Reader
from memoryos.updating.redoing import Redoer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.model import Page, Segment
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst, Embedder
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["REDO", "Drain", "Step", "Steps"]

FORGET, EMBED, ARCHIVE, EXPIRE, REDO, TIDY = "forget", "embed", "archive", "expire", "redo", "tidy"
RECORD_SIMILARITY_THRESHOLD = 0.0
"""Similarity threshold for records: 0, so that all records of a scope join one segment.

Records are values that a program stores under keys.
"""


@dataclass(slots=True)
class Drain:
    """Limits for one drain. A drain runs steps of one scope until no step is due.

    Attributes:
        scope_id: Id of the scope.
        everything: Whether incomplete batches of pages are due too. Otherwise only full batches are due.
        holds_records: Whether a program stores records (values under keys) in the scope. No LLM reads them.
        may_redo: Whether the analyst may replace results of the fallback analyst. Set to False when the analyst fails.
    """

    scope_id: str
    everything: bool
    holds_records: bool
    may_redo: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of work on a scope. A step is committed before ``take`` returns.

    Attributes:
        name: Name of the step in logs, in ``last_error`` and in the usage ledger.
        is_due: Returns whether the scope has work of this kind.
        take: Does one unit of the work under the lease on the scope. Returns False if there was no work.
    """

    name: str
    is_due: Callable[[Drain], bool]
    take: Callable[[Lease, Drain], bool]


class Steps:
    """All steps that update scopes of one store.

    Args:
        store: The store.
        embedder: Computes vectors.
        analyst: Reads pages, and infers traits.
        working_sets: Searchable copies of scopes in memory, in which the reader finds vectors and facts.
        config: Capacities, thresholds and weights.
        ledger: Records token usage.
        redoer: The configured analyst, which replaces results of the fallback analyst. None without a fallback.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        analyst: Analyst,
        working_sets: WorkingSets,
        config: Config,
        ledger: UsageLedger,
        *,
        redoer: Analyst | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock

        def build(used: Analyst, similarity_threshold: float) -> tuple[Reader, Profiler]:
            reader = Reader(
                store,
                used,
                working_sets,
                ledger,
                similarity_threshold=similarity_threshold,
                capacity=config.long_term_knowledge_capacity,
                clock=clock,
            )
            return reader, Profiler(store, used, working_sets, config, ledger, clock=clock)

        threshold = config.mid_term_similarity_threshold
        self._of_conversations = build(analyst, threshold)
        self._of_records = build(NullAnalyst(), RECORD_SIMILARITY_THRESHOLD)
        self._reads_immediately = reads_immediately(analyst)
        self._pages_per_reading = min(config.consolidation_batch, MAX_BATCH_PAGES)
        self.embedding = EmbeddingStep(store, embedder, config)
        self.redoer = None if redoer is None else Redoer(store, *build(redoer, threshold))
        self.in_order = (
            Step(FORGET, _always, self._complete_deletions),
            Step(EMBED, self._is_embedding_due, self._embed),
            Step(READ, self._is_reading_due, self._read),
            Step(ARCHIVE, self._is_archiving_due, self._archive),
            Step(EXPIRE, self._is_expiry_due, self._expire),
            Step(PROFILE, self._is_profiling_due, self._profile),
            Step(REDO, self._is_redoing_due, self._redo),
            Step(TIDY, _always, self._delete_expired_keys),
        )
        """In order of precedence: the first step that is due is taken next."""

    def profiler_of(self, *, holds_records: bool) -> Profiler:
        """Returns the profiler for scopes with records, or the profiler for scopes with conversations.

        Records are values that a program stores under keys. The profiler for records calls no model.
        """
        return (self._of_records if holds_records else self._of_conversations)[1]

    def _complete_deletions(self, lease: Lease, _: Drain) -> bool:
        """Completes deletions that were interrupted, e.g. by a crash of another process."""
        return self._store.forgetting.complete(lease.scope_id)

    def _is_embedding_due(self, drain: Drain) -> bool:
        return self.embedding.is_due(drain.scope_id)

    def _embed(self, lease: Lease, _: Drain) -> bool:
        return self.embedding.take(lease)

    def _is_reading_due(self, drain: Drain) -> bool:
        return bool(self._pages_to_read(drain))

    def _read(self, lease: Lease, drain: Drain) -> bool:
        pages = self._pages_to_read(drain)
        if pages:
            reader, _ = self._of_records if drain.holds_records else self._of_conversations
            reader.read(lease, pages)
        return bool(pages)

    def _pages_to_read(self, drain: Drain) -> Sequence[Page]:
        """Returns the oldest neighbouring pages that were not read yet, at most one batch.

        If fewer pages than a batch are unread, returns nothing unless incomplete batches are due too or the analyst
        reads immediately.
        """
        size = self._pages_per_reading
        is_due = drain.everything or drain.holds_records or self._reads_immediately
        if is_due or self._store.log.count_due(drain.scope_id, size) == size:
            return self._store.log.due(drain.scope_id, size)
        return ()

    def _is_archiving_due(self, drain: Drain) -> bool:
        return not drain.holds_records and bool(self._segments_to_archive(drain))

    def _archive(self, lease: Lease, drain: Drain) -> bool:
        """Archives the segments with the lowest heat if mid-term memory exceeds its capacity."""
        segments = self._segments_to_archive(drain)
        self._store.mid_term.archive(lease, [segment.segment_id for segment in segments], self._clock())
        return True

    def _segments_to_archive(self, drain: Drain) -> list[Segment]:
        """Returns the coldest segments beyond the capacity. Segments with a page in short-term memory are kept."""
        excess = self._store.mid_term.count(drain.scope_id) - self._config.mid_term_capacity
        if excess <= 0:
            return []
        window = self._store.log.newest(drain.scope_id, self._config.short_term_capacity)
        in_window = {page.segment_id for page in window}
        candidates = [each for each in self._store.mid_term.all(drain.scope_id) if each.segment_id not in in_window]
        return coldest(candidates, self._clock(), self._config.heat, excess)

    def _is_expiry_due(self, drain: Drain) -> bool:
        return not drain.holds_records and bool(self._expired_segments(drain))

    def _expire(self, lease: Lease, drain: Drain) -> bool:
        """Forgets the segments whose archive period has ended, with their pages.

        An answer in another page is deleted too if a forgotten page is recorded as its source. An answer that merely
        repeats text of a forgotten page is kept: such a match can be wrong, and no user can check it in a preview here.
        Other archived pages keep their segments and the time of their own expiry.
        """
        log = self._store.log
        ids = [page.page_id for each in self._expired_segments(drain) for page in log.of_segment(lease.scope_id, each)]
        self._store.forgetting.forget(
            lease.scope_id, ids, (), self._clock(), lease=lease, by_words=False, keeps_archived=True
        )
        return True

    def _expired_segments(self, drain: Drain) -> Sequence[str]:
        if self._config.keep_archived_days is None:
            return ()
        archived_before = self._clock() - timedelta(days=self._config.keep_archived_days)
        return self._store.mid_term.archived_before(drain.scope_id, archived_before)

    def _is_profiling_due(self, drain: Drain) -> bool:
        return bool(self._segments_to_profile(drain))

    def _profile(self, lease: Lease, drain: Drain) -> bool:
        """Infers traits from the segment with the highest heat."""
        hottest = self._segments_to_profile(drain)
        if hottest:
            self.profiler_of(holds_records=drain.holds_records).profile(lease, hottest[0])
        return bool(hottest)

    def _segments_to_profile(self, drain: Drain) -> list[Segment]:
        """Returns the segments with heat > τ and unprofiled pages, hottest first.

        If ``drain.everything`` is False, returns only segments with a full batch of unprofiled pages. So each call of
        the analyst uses more pages, and fewer calls are necessary.
        """
        weights, threshold = self._config.heat, self._config.mid_term_heat_threshold
        over = threshold - weights.recency_weight
        warm = self._store.mid_term.warm(drain.scope_id, weights.visit_weight, weights.length_weight, over)
        hottest = hot(warm, self._clock(), weights, threshold)
        return hottest if drain.everything else [each for each in hottest if self._has_full_batch(each)]

    def _has_full_batch(self, segment: Segment) -> bool:
        return segment.length >= self._config.consolidation_batch

    def _is_redoing_due(self, drain: Drain) -> bool:
        return self.redoer is not None and drain.may_redo and self.redoer.is_due(drain.scope_id)

    def _redo(self, lease: Lease, _: Drain) -> bool:
        return self.redoer is not None and self.redoer.take(lease, self._pages_per_reading)

    def _delete_expired_keys(self, lease: Lease, _: Drain) -> bool:
        """Deletes expired idempotency keys."""
        return self._store.idempotency.delete_expired(lease.scope_id, self._clock())


def _always(_: Drain) -> bool:
    return True
