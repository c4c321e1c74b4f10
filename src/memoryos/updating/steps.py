"""The steps that keep a scope's memory up to date, and the rules that decide which of them is due (§3.2, §3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from memoryos.updating.consolidation import DIGEST, Consolidator
from memoryos.updating.embedding import EmbeddingStep
from memoryos.updating.heat import coldest, hot
from memoryos.updating.learner import LEARN, Learner
from memoryos.updating.null_analyst import NullAnalyst
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
"""All records of a scope join one segment, because they share one topic."""


@dataclass(slots=True)
class Drain:
    """What one drain of a scope may do.

    Attributes:
        scope_id: The scope.
        everything: Whether incomplete batches are due too; otherwise only full batches are.
        holds_records: Whether the scope holds records, which no analyst reads.
        may_redo: Whether the analyst may redo the fallback's work; False after it failed in this drain.
    """

    scope_id: str
    everything: bool
    holds_records: bool
    may_redo: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of work on a scope. Each call of ``take`` commits before it returns.

    Attributes:
        name: Its name in logs, in ``last_error`` and in the usage ledger.
        is_due: Returns whether the scope has such work.
        take: Does one unit of the work, with the scope's lease; returns False if there was none.
    """

    name: str
    is_due: Callable[[Drain], bool]
    take: Callable[[Lease, Drain], bool]


class Steps:
    """All steps, over one store.

    Args:
        store: Pages, tiers and leases.
        embedder: Computes the vectors.
        analyst: Digests pages and learns from segments.
        working_sets: Searchable snapshots, which the consolidation reads.
        config: Capacities, thresholds, weights.
        ledger: Records token usage.
        redoer: The configured analyst without its fallback; it redoes the fallback's work. None without a fallback.
        clock: Returns now (aware, UTC).
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

        def readers(reader: Analyst, similarity_threshold: float) -> tuple[Consolidator, Learner]:
            consolidator = Consolidator(store, reader, working_sets, ledger, similarity_threshold=similarity_threshold)
            return consolidator, Learner(store, reader, config, ledger, clock=clock)

        threshold = config.mid_term_similarity_threshold
        self._conversation_readers = readers(analyst, threshold)
        self._record_readers = readers(NullAnalyst(), RECORD_SIMILARITY_THRESHOLD)
        self.embedding = EmbeddingStep(store, embedder, config)
        self.redoer = None if redoer is None else Redoer(store, *readers(redoer, threshold))
        self.in_order = (
            Step(FORGET, _always, self._complete_deletions),
            Step(EMBED, self._is_embedding_due, self._embed),
            Step(DIGEST, self._is_digest_due, self._digest),
            Step(ARCHIVE, self._is_archiving_due, self._archive),
            Step(EXPIRE, self._is_expiry_due, self._expire),
            Step(LEARN, self._is_learning_due, self._learn),
            Step(REDO, self._is_redoing_due, self._redo),
            Step(TIDY, _always, self._drop_old_notes),
        )
        """In order of precedence: the first step that is due is taken next."""

    def learner_of(self, *, holds_records: bool) -> Learner:
        """Returns the learner of conversation scopes, or that of record scopes, which calls no analyst."""
        return (self._record_readers if holds_records else self._conversation_readers)[1]

    def _complete_deletions(self, lease: Lease, _: Drain) -> bool:
        """Completes deletions that another process began; the store finds them."""
        return self._store.forgetting.complete(lease.scope_id)

    def _is_embedding_due(self, drain: Drain) -> bool:
        return self.embedding.is_due(drain.scope_id)

    def _embed(self, lease: Lease, _: Drain) -> bool:
        return self.embedding.take(lease)

    def _is_digest_due(self, drain: Drain) -> bool:
        return bool(self._pages_to_digest(drain))

    def _digest(self, lease: Lease, drain: Drain) -> bool:
        pages = self._pages_to_digest(drain)
        if pages:
            consolidator, _ = self._record_readers if drain.holds_records else self._conversation_readers
            consolidator.consolidate(lease, pages)
        return bool(pages)

    def _pages_to_digest(self, drain: Drain) -> Sequence[Page]:
        """Returns the oldest pages that left the short-term window and have no segment: one batch, or none yet."""
        window = 0 if drain.holds_records else self._config.short_term_capacity
        up_to = self._store.log.last_seq_outside_window(drain.scope_id, window)
        pages = self._store.log.due(drain.scope_id, up_to, self._config.consolidation_batch)
        return pages if drain.everything or len(pages) >= self._config.consolidation_batch else ()

    def _is_archiving_due(self, drain: Drain) -> bool:
        return not drain.holds_records and self._excess_segments(drain) > 0

    def _archive(self, lease: Lease, drain: Drain) -> bool:
        """Archives the coldest segments beyond the mid-term capacity."""
        now = self._clock()
        segments = self._store.mid_term.all(lease.scope_id)
        cold = coldest(segments, now, self._config.heat, self._excess_segments(drain))
        self._store.mid_term.archive(lease, [segment.segment_id for segment in cold], now)
        return True

    def _excess_segments(self, drain: Drain) -> int:
        return self._store.mid_term.count(drain.scope_id) - self._config.mid_term_capacity

    def _is_expiry_due(self, drain: Drain) -> bool:
        return not drain.holds_records and bool(self._expired_segments(drain))

    def _expire(self, lease: Lease, drain: Drain) -> bool:
        """Forgets segments whose archive period has ended, with their pages.

        Only answers with recorded sources are traced. Tracing by words needs a preview that the user can check, and
        expiry has none.
        """
        log = self._store.log
        ids = [page.page_id for each in self._expired_segments(drain) for page in log.of_segment(lease.scope_id, each)]
        self._store.forgetting.forget(lease.scope_id, ids, (), self._clock(), lease=lease, by_words=False)
        return True

    def _expired_segments(self, drain: Drain) -> Sequence[str]:
        if self._config.keep_archived_days is None:
            return ()
        archived_before = self._clock() - timedelta(days=self._config.keep_archived_days)
        return self._store.mid_term.archived_before(drain.scope_id, archived_before)

    def _is_learning_due(self, drain: Drain) -> bool:
        return bool(self._segments_to_learn(drain))

    def _learn(self, lease: Lease, drain: Drain) -> bool:
        """Learns from the hottest segment."""
        hottest = self._segments_to_learn(drain)
        if hottest:
            self.learner_of(holds_records=drain.holds_records).learn(lease, hottest[0])
        return bool(hottest)

    def _segments_to_learn(self, drain: Drain) -> list[Segment]:
        """Returns the segments with heat > τ and unlearned pages, hottest first.

        During a conversation a segment must have a full batch of unlearned pages, so that one analyst call reads ten
        pages instead of five. A flush and an idle scope do not require a full batch.
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
        return self.redoer is not None and self.redoer.take(lease, self._config.consolidation_batch)

    def _drop_old_notes(self, lease: Lease, _: Drain) -> bool:
        """Drops expired idempotency keys; the store finds them."""
        return self._store.idempotency.delete_expired(lease.scope_id, self._clock())


def _always(_: Drain) -> bool:
    return True
