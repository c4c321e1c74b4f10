"""The updater: takes the due steps of one scope, one after the other, each committed before the next (§3.2, §3.3).

There is no list of jobs: what is due is a query, so a crash between any two lines leaves the work due and nothing else.
No transaction is open while an analyst or the embedder works.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from memoryos.errors import (
    AnalystError,
    AnalystUnavailableError,
    EmbeddingError,
    MemoryOSError,
    StoreConflictError,
    StoreError,
)
from memoryos.updating.consolidation import DIGEST, Consolidator
from memoryos.updating.embedding import EmbeddingStep
from memoryos.updating.heat import coldest, hot
from memoryos.updating.learner import LEARN, Learner
from memoryos.updating.leases import Leases
from memoryos.updating.null_analyst import NullAnalyst
from memoryos.updating.redoing import Redoer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst, Embedder
    from memoryos.storage.scopes import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["Updater"]

_log = logging.getLogger(__name__)
MOST_DOUBLINGS = 30
MOST_CONFLICTS = 10
"""How often a flush begins again because pages were forgotten meanwhile."""
RECORD_SIMILARITY_THRESHOLD = 0.0
"""All records of a scope join one segment, because they share one topic."""
FORGET, EMBED, ARCHIVE, EXPIRE, REDO, TIDY = "forget", "embed", "archive", "expire", "redo", "tidy"
Result = TypeVar("Result")


class Updater:
    """Takes the due steps of scopes, under a lease, so that of several workers and processes one does it.

    Args:
        store: Where everything is kept.
        embedder: Makes the vectors.
        analyst: Reads the pages.
        redoer: Redoes the work of the fallback analyst; None if there is no fallback.
        ledger: Takes down what models cost.
        working_sets: The searchable copies.
        config: Capacities, thresholds, weights.
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
        redoer: Analyst | None = None,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._embedding = EmbeddingStep(store, embedder)

        def readers(reader: Analyst, similarity_threshold: float) -> tuple[Consolidator, Learner]:
            consolidator = Consolidator(store, reader, working_sets, ledger, similarity_threshold=similarity_threshold)
            return consolidator, Learner(store, reader, config, ledger, clock=clock)

        threshold = config.mid_term_similarity_threshold
        self._conversation_readers = readers(analyst, threshold)
        self._record_readers = readers(NullAnalyst(), RECORD_SIMILARITY_THRESHOLD)
        self._redoer = None if redoer is None else Redoer(store, *readers(redoer, threshold))
        self._visits: dict[str, Counter[str]] = {}
        self._visits_lock = threading.Lock()
        self.leases = Leases(store, config, clock=clock)

    def note_visits(self, scope_id: str, segment_ids: Iterable[str]) -> None:
        """Notes in memory that these segments were recalled; the next drain or ``record_visits`` writes it down."""
        with self._visits_lock:
            self._visits.setdefault(scope_id, Counter()).update(segment_ids)

    def record_visits(self, scope_id: str) -> None:
        """Writes down the visits noted so far, in one short transaction."""
        with self._visits_lock:
            visits = self._visits.pop(scope_id, None)
        if visits:
            self._store.mid_term.visit(scope_id, visits, self._clock())

    def record_all_visits(self) -> None:
        """Writes down every visit noted so far, as far as the store lets it: a lost visit is no lost memory."""
        with self._visits_lock:
            scope_ids = list(self._visits)
        with contextlib.suppress(StoreError):
            for scope_id in scope_ids:
                self.record_visits(scope_id)

    def drain(
        self,
        scope_id: str,
        *,
        everything: bool,
        timeout_seconds: float | None = None,
        lease_timeout_seconds: float | None = None,
        before_step: Callable[[], None] | None = None,
    ) -> int:
        """Takes the scope's due steps until none is left.

        Args:
            scope_id: The scope.
            everything: Consolidates whatever slid out of the window; else only full batches.
            timeout_seconds: When to stop between two steps.
            lease_timeout_seconds: How long to wait for another worker's lease; default: as long as the timeout.
            before_step: Called before each step: the background worker makes way for the foreground here.

        Returns:
            How many steps were taken.

        Raises:
            AnalystError: If the analyst failed; recorded on the scope, what was due stays due. If a stand-in works
                meanwhile, that is no error.
            EmbeddingError: If the embedder failed; recorded likewise.
            StoreUnavailableError: If another worker kept the lease until the timeout.
            TimeoutError: If steps were left when the time was over.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        round_ = self._round(scope_id, everything=everything, deadline=deadline)
        while True:
            patience = deadline if lease_timeout_seconds is None else time.monotonic() + lease_timeout_seconds
            with self.leases.acquire(scope_id, patience) as lease:
                if self._take_turn(lease, round_, before_step):
                    return round_.steps
            self.leases.yield_to_waiter(scope_id)

    def drain_turn(
        self,
        scope_id: str,
        *,
        everything: bool,
        lease_timeout_seconds: float,
        before_step: Callable[[], None],
        max_steps: int,
        max_seconds: float,
    ) -> bool:
        """Takes due steps until none is left, or the turn of the scope is over.

        Args:
            scope_id: The scope.
            everything: As for ``drain``.
            lease_timeout_seconds: How long to wait for another worker's lease.
            before_step: Called before each step.
            max_steps: After this many steps the turn is over.
            max_seconds: After this long it is over too; a step is never interrupted.

        Returns:
            Whether no step is left.

        Raises:
            MemoryOSError: As ``drain``.
        """
        round_ = self._round(scope_id, everything=everything)
        round_.max_steps, round_.ends_at = max_steps, time.monotonic() + max_seconds
        with self.leases.acquire(scope_id, time.monotonic() + lease_timeout_seconds) as lease:
            return self._take_turn(lease, round_, before_step)

    def flush(
        self,
        scope_id: str,
        *,
        timeout_seconds: float | None = None,
        before_step: Callable[[], None] | None = None,
    ) -> None:
        """Takes every due step, and begins again when pages are forgotten meanwhile.

        Raises:
            StoreConflictError: If that happened too often.
            MemoryOSError: As ``drain``.
            TimeoutError: If steps were left when the time was over.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds

        def work() -> int:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            return self.drain(scope_id, everything=True, timeout_seconds=left, before_step=before_step)

        _despite_conflicts(work)

    def embed(self, scope_id: str, *, lease_timeout_seconds: float) -> None:
        """Makes the vectors that are missing and takes no other step: no analyst is asked.

        Raises:
            EmbeddingError: If the embedder failed.
            StoreUnavailableError: If another worker kept the lease for longer than the patience.
        """
        if self._embedding.is_due(scope_id):
            with self.leases.acquire(scope_id, time.monotonic() + lease_timeout_seconds) as lease:
                while self._embedding.take(self.leases.with_new_expiry(lease)):
                    pass

    def redo_wait_seconds(self, scope_id: str) -> float | None:
        """Returns in how many seconds a stand-in's work may be tried to redo; None if there is none to redo."""
        if self._redoer is None or not self._redoer.is_due(scope_id):
            return None
        return self._pause_seconds(scope_id)

    @property
    def has_fallback(self) -> bool:
        """Whether a stand-in works while the analyst fails, so that a scope never has to wait."""
        return self._redoer is not None

    def note_failure(self, scope_id: str, purpose: str, error: MemoryOSError) -> None:
        """Takes down an error that nothing has to be tried again for."""
        self._store.scopes.record_error(scope_id, _described(purpose, error))
        _log.warning("scope %s: %s failed: %s: %s", scope_id, purpose, type(error).__name__, error)

    def _take_turn(self, lease: Lease, round_: _Round, before_step: Callable[[], None] | None) -> bool:
        """Takes steps until none is left; False if the turn ended before: its bound, or another worker that waits."""
        since = time.monotonic()
        while True:
            if before_step is not None:
                before_step()
            if not self._step(self.leases.with_new_expiry(lease), round_):
                break
            round_.steps += 1
            if round_.deadline is not None and time.monotonic() > round_.deadline:
                raise TimeoutError(f"pages of scope {lease.scope_id} were still due when the time was over")
            if round_.is_over() or self.leases.is_contended(lease, since):
                return False
        if self.redo_wait_seconds(lease.scope_id) is None:
            self._store.scopes.record_success(lease.scope_id)
        return True

    def _round(self, scope_id: str, *, everything: bool, deadline: float | None = None) -> _Round:
        """Returns what a drain of the scope has to do; writes down its visits first."""
        may_redo = everything or self._pause_seconds(scope_id) == 0
        self.record_visits(scope_id)
        return _Round(everything, deadline, may_redo, self._holds_records(scope_id))

    def _step(self, lease: Lease, round_: _Round) -> bool:
        steps: tuple[tuple[str, Callable[[], bool]], ...] = (
            (FORGET, lambda: self._store.forgetting.complete(lease.scope_id)),
            (EMBED, lambda: self._embedding.take(lease)),
            (DIGEST, lambda: self._consolidate(lease, round_)),
            (ARCHIVE, lambda: not round_.holds_records and self._archive(lease)),
            (EXPIRE, lambda: not round_.holds_records and self._expire(lease)),
            (LEARN, lambda: self._learn(lease, everything=round_.everything)),
            (REDO, lambda: self._redo(lease, round_)),
            (TIDY, lambda: self._store.notes.drop_old(lease.scope_id, self._clock())),
        )
        for purpose, take in steps:
            try:
                if take():
                    return True
            except (AnalystError, EmbeddingError) as error:
                self._record_failure(lease.scope_id, purpose, error)
                raise
        return False

    def _redo(self, lease: Lease, round_: _Round) -> bool:
        """Has the analyst itself read what its stand-in read; if it is still away, that is no error of the drain."""
        if self._redoer is None or not round_.may_redo or not self._redoer.is_due(lease.scope_id):
            return False
        try:
            return self._redoer.take(lease, self._config.consolidation_batch)
        except AnalystError as error:
            round_.may_redo = False
            self._record_failure(lease.scope_id, REDO, error)
            return False

    def _pause_seconds(self, scope_id: str) -> float:
        retry_at = self._store.scopes.state(scope_id).retry_at
        return 0.0 if retry_at is None else max(0.0, (retry_at - self._clock()).total_seconds())

    def _consolidate(self, lease: Lease, round_: _Round) -> bool:
        window = 0 if round_.holds_records else self._config.short_term_capacity
        up_to = self._store.log.slid_out(lease.scope_id, window)
        due = self._store.log.due(lease.scope_id, up_to, self._config.consolidation_batch)
        if not due or (len(due) < self._config.consolidation_batch and not round_.everything):
            return False
        consolidator, _ = self._readers(lease.scope_id)
        consolidator.consolidate(lease, due)
        return True

    def _archive(self, lease: Lease) -> bool:
        excess = self._store.mid_term.count(lease.scope_id) - self._config.mid_term_capacity
        if excess <= 0:
            return False
        now = self._clock()
        cold = coldest(self._store.mid_term.all(lease.scope_id), now, self._config.heat, excess)
        self._store.mid_term.archive(lease, [segment.segment_id for segment in cold], now)
        return True

    def _expire(self, lease: Lease) -> bool:
        """Forgets segments that were archived long enough ago, with their pages.

        Answers are traced by their recorded sources alone: nobody sees a preview of this.
        """
        if self._config.keep_archived_days is None:
            return False
        moment = self._clock() - timedelta(days=self._config.keep_archived_days)
        expired = self._store.mid_term.archived_before(lease.scope_id, moment)
        if not expired:
            return False
        ids = [page.page_id for each in expired for page in self._store.log.of_segment(lease.scope_id, each)]
        self._store.forgetting.forget(lease.scope_id, ids, (), self._clock(), lease=lease, by_words=False)
        return True

    def _learn(self, lease: Lease, *, everything: bool) -> bool:
        """Learns from the hottest segment.

        Amid a conversation a hot segment waits for a batch of unlearned pages, so that one call of the analyst reads
        ten pages and not five; a flush and an idle scope don't wait.
        """
        weights, threshold = self._config.heat, self._config.mid_term_heat_threshold
        over = threshold - weights.recency_weight
        warm = self._store.mid_term.warm(lease.scope_id, weights.visit_weight, weights.length_weight, over)
        hottest = hot(warm, self._clock(), weights, threshold)
        if not everything:
            hottest = [segment for segment in hottest if segment.length >= self._config.consolidation_batch]
        if not hottest:
            return False
        _, learner = self._readers(lease.scope_id)
        learner.learn(lease, hottest[0])
        return True

    def learn_everything(self, scope_id: str) -> int:
        """Consolidates everything due and learns from every active segment with unlearned pages, hot or not.

        Returns:
            How many segments were read.

        Raises:
            AnalystError: If the analyst failed; recorded on the scope.
        """
        self.flush(scope_id)
        count = _despite_conflicts(lambda: self._learn_waiting(scope_id))
        self.flush(scope_id)
        return count

    def _learn_waiting(self, scope_id: str) -> int:
        with self.leases.acquire(scope_id) as lease:
            _, learner = self._readers(scope_id)
            waiting = [each for each in self._store.mid_term.all(scope_id) if each.length > 0]
            for segment in waiting:
                try:
                    learner.learn(self.leases.with_new_expiry(lease), segment)
                except AnalystError as error:
                    self._record_failure(scope_id, LEARN, error)
                    raise
        return len(waiting)

    def _readers(self, scope_id: str) -> tuple[Consolidator, Learner]:
        """Returns the consolidator and the learner of a scope; those of record scopes call no analyst."""
        return self._record_readers if self._holds_records(scope_id) else self._conversation_readers

    def _holds_records(self, scope_id: str) -> bool:
        return self._store.scopes.state(scope_id).scope.holds_records

    def _record_failure(self, scope_id: str, purpose: str, error: MemoryOSError) -> None:
        attempts = min(self._store.scopes.state(scope_id).attempts, MOST_DOUBLINGS)
        pause = min(self._config.retry_base_seconds * 2**attempts, self._config.retry_max_seconds)
        if isinstance(error, AnalystUnavailableError) and error.retry_after_seconds is not None:
            pause = max(pause, error.retry_after_seconds)
        retry_at = self._clock() + timedelta(seconds=pause)
        self._store.scopes.record_failure(scope_id, _described(purpose, error), retry_at)
        _log.warning(
            "scope %s: %s failed: %s: %s; what is due stays due, next try in %.0f s",
            scope_id,
            purpose,
            type(error).__name__,
            error,
            pause,
        )


@dataclass(slots=True)
class _Round:
    """What one drain does and how far it has come.

    Attributes:
        everything: Whether all that is due is consolidated; else only full batches.
        deadline: When it fails if steps are left (monotonic seconds); None for never.
        may_redo: Whether the analyst may be asked to redo its stand-in's work.
        holds_records: Whether the scope holds records, which no analyst reads.
        steps: Steps taken so far.
        max_steps: When the turn ends although steps are left; None for never.
        ends_at: The same as a time (monotonic seconds).
    """

    everything: bool
    deadline: float | None
    may_redo: bool
    holds_records: bool
    steps: int = 0
    max_steps: int | None = None
    ends_at: float = math.inf

    def is_over(self) -> bool:
        """Returns whether the turn has used up its steps or its time."""
        return (self.max_steps is not None and self.steps >= self.max_steps) or time.monotonic() > self.ends_at


def _despite_conflicts(work: Callable[[], Result]) -> Result:
    for _ in range(MOST_CONFLICTS):
        with contextlib.suppress(StoreConflictError):
            return work()
    return work()


def _described(purpose: str, error: MemoryOSError) -> str:
    return f"{purpose}: {type(error).__name__}: {error}"
