"""The updater: takes the due steps of a scope one by one, under the scope's lease, and commits each (§3.2, §3.3).

There is no table of jobs: queries find the work that is due (``steps.py``). So a crash at any point loses no work and
leaves nothing half done. No transaction is open during an analyst or embedder call.
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
from memoryos.updating.learner import LEARN
from memoryos.updating.leases import Leases
from memoryos.updating.steps import REDO, Drain, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Analyst, Embedder
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store
    from memoryos.updating.usage_ledger import UsageLedger

__all__ = ["Updater"]

_log = logging.getLogger(__name__)
MOST_DOUBLINGS = 30
"""Upper limit of the exponent of the back-off."""
MOST_CONFLICTS = 10
"""How often a flush restarts after a conflict, because pages were forgotten during it."""
Result = TypeVar("Result")


class Updater:
    """Drains scopes. A scope's lease ensures that only one worker in one process drains it at a time.

    Args:
        store: Pages, tiers and leases.
        embedder: Computes the vectors.
        analyst: Digests pages and learns from segments.
        working_sets: Searchable snapshots.
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
        redoer: Analyst | None = None,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._steps = Steps(store, embedder, analyst, working_sets, config, ledger, redoer=redoer, clock=clock)
        self._visits: dict[str, Counter[str]] = {}
        self._visits_lock = threading.Lock()
        self.leases = Leases(store, config, clock=clock)

    def note_visits(self, scope_id: str, segment_ids: Iterable[str]) -> None:
        """Counts a recall of these segments in memory; the next drain or ``record_visits`` stores the counts."""
        with self._visits_lock:
            self._visits.setdefault(scope_id, Counter()).update(segment_ids)

    def record_visits(self, scope_id: str) -> None:
        """Stores the visits counted so far, in one short transaction."""
        with self._visits_lock:
            visits = self._visits.pop(scope_id, None)
        if visits:
            self._store.mid_term.visit(scope_id, visits, self._clock())

    def record_all_visits(self) -> None:
        """Stores the visits of all scopes. A store error is ignored, because lost visit counts lose no memory."""
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
        """Takes the scope's due steps until no step is due.

        Args:
            scope_id: The scope.
            everything: Whether to consolidate incomplete batches too.
            timeout_seconds: Maximum duration, checked between two steps; None for no limit.
            lease_timeout_seconds: How long to wait for another worker's lease; default: as long as the timeout.
            before_step: Called before each step.

        Returns:
            The number of steps taken.

        Raises:
            AnalystError: If the analyst failed. The error is recorded on the scope and the work stays due. With a
                fallback analyst, an unavailable analyst raises nothing.
            EmbeddingError: If the embedder failed; recorded in the same way.
            StoreUnavailableError: If another worker kept the lease until the timeout.
            TimeoutError: If steps were due after the timeout.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        drain = self._begin(scope_id, everything=everything)
        limits = _Limits(deadline=math.inf if deadline is None else deadline)
        while True:
            lease_deadline = deadline if lease_timeout_seconds is None else time.monotonic() + lease_timeout_seconds
            with self.leases.acquire(scope_id, lease_deadline) as lease:
                if self._take_steps(lease, drain, limits, before_step):
                    return limits.steps
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
        """Takes due steps until no step is due or the limits of one turn are reached.

        Args:
            scope_id: The scope.
            everything: As for ``drain``.
            lease_timeout_seconds: How long to wait for another worker's lease.
            before_step: Called before each step.
            max_steps: Maximum number of steps.
            max_seconds: Maximum duration, checked between two steps.

        Returns:
            Whether no step is due any more.

        Raises:
            MemoryOSError: As ``drain``.
        """
        drain = self._begin(scope_id, everything=everything)
        limits = _Limits(max_steps=max_steps, turn_ends_at=time.monotonic() + max_seconds)
        with self.leases.acquire(scope_id, time.monotonic() + lease_timeout_seconds) as lease:
            return self._take_steps(lease, drain, limits, before_step)

    def flush(
        self,
        scope_id: str,
        *,
        timeout_seconds: float | None = None,
        before_step: Callable[[], None] | None = None,
    ) -> None:
        """Takes all due steps; restarts if pages are forgotten during it.

        Raises:
            StoreConflictError: After too many restarts.
            MemoryOSError: As ``drain``.
            TimeoutError: If steps were due after the timeout.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds

        def work() -> int:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            return self.drain(scope_id, everything=True, timeout_seconds=left, before_step=before_step)

        _retry_conflicts(work)

    def embed(self, scope_id: str, *, lease_timeout_seconds: float) -> None:
        """Computes the missing vectors and takes no other step; calls no analyst.

        Raises:
            EmbeddingError: If the embedder failed.
            StoreUnavailableError: If another worker kept the lease until the timeout.
        """
        embedding = self._steps.embedding
        if embedding.has_pages(scope_id):
            with self.leases.acquire(scope_id, time.monotonic() + lease_timeout_seconds) as lease:
                while embedding.take(self.leases.with_new_expiry(lease)):
                    pass

    def learn_everything(self, scope_id: str) -> int:
        """Consolidates all due pages and learns from every active segment with unlearned pages, hot or not.

        Returns:
            The number of segments read.

        Raises:
            AnalystError: If the analyst failed; recorded on the scope.
        """
        self.flush(scope_id)
        count = _retry_conflicts(lambda: self._learn_unlearned(scope_id))
        self.flush(scope_id)
        return count

    def redo_wait_seconds(self, scope_id: str) -> float | None:
        """Returns the seconds until the fallback's work may be redone; None if there is no such work."""
        redoer = self._steps.redoer
        if redoer is None or not redoer.is_due(scope_id):
            return None
        return self._backoff_seconds(scope_id)

    @property
    def has_fallback(self) -> bool:
        """Whether a fallback works while the analyst fails, so that a scope never waits for the analyst."""
        return self._steps.redoer is not None

    def note_failure(self, scope_id: str, purpose: str, error: MemoryOSError) -> None:
        """Records an error on the scope without scheduling a retry."""
        self._store.scopes.record_error(scope_id, _described(purpose, error))
        _log.warning("scope %s: %s failed: %s: %s", scope_id, purpose, type(error).__name__, error)

    def _begin(self, scope_id: str, *, everything: bool) -> Drain:
        """Stores the scope's visits, which change its heat, and returns what the drain may do."""
        may_redo = everything or self._backoff_seconds(scope_id) == 0
        self.record_visits(scope_id)
        return Drain(scope_id, everything=everything, holds_records=self._holds_records(scope_id), may_redo=may_redo)

    def _take_steps(self, lease: Lease, drain: Drain, limits: _Limits, before_step: Callable[[], None] | None) -> bool:
        """Takes steps until no step is due; returns False if a limit or a waiting worker ended the turn earlier."""
        started = time.monotonic()
        while True:
            if before_step is not None:
                before_step()
            if not self._take_first_due(self.leases.with_new_expiry(lease), drain):
                break
            limits.steps += 1
            if time.monotonic() > limits.deadline:
                raise TimeoutError(
                    f"pages of scope {lease.scope_id} were still due at the timeout; they stay due, call flush again"
                )
            if limits.are_reached() or self.leases.is_contended(lease, started):
                return False
        if self.redo_wait_seconds(lease.scope_id) is None:
            self._store.scopes.record_success(lease.scope_id)
        return True

    def _take_first_due(self, lease: Lease, drain: Drain) -> bool:
        """Takes the first step that is due; returns False if none is."""
        for step in self._steps.in_order:
            try:
                if step.is_due(drain) and step.take(lease, drain):
                    return True
            except (AnalystError, EmbeddingError) as error:
                self._record_failure(lease.scope_id, step.name, error)
                if step.name == REDO and isinstance(error, AnalystError):
                    drain.may_redo = False  # the fallback's results stay valid, so the drain continues
                else:
                    raise
        return False

    def _learn_unlearned(self, scope_id: str) -> int:
        learner = self._steps.learner_of(holds_records=self._holds_records(scope_id))
        with self.leases.acquire(scope_id) as lease:
            unlearned = [each for each in self._store.mid_term.all(scope_id) if each.length > 0]
            for segment in unlearned:
                try:
                    learner.learn(self.leases.with_new_expiry(lease), segment)
                except AnalystError as error:
                    self._record_failure(scope_id, LEARN, error)
                    raise
        return len(unlearned)

    def _holds_records(self, scope_id: str) -> bool:
        return self._store.scopes.state(scope_id).scope.holds_records

    def _backoff_seconds(self, scope_id: str) -> float:
        """Returns the seconds left until the analyst may be called again after a failure."""
        retry_at = self._store.scopes.state(scope_id).retry_at
        return 0.0 if retry_at is None else max(0.0, (retry_at - self._clock()).total_seconds())

    def _record_failure(self, scope_id: str, purpose: str, error: MemoryOSError) -> None:
        """Records an error on the scope and schedules a retry with exponential back-off."""
        attempts = min(self._store.scopes.state(scope_id).attempts, MOST_DOUBLINGS)
        pause = min(self._config.retry_base_seconds * 2**attempts, self._config.retry_max_seconds)
        if isinstance(error, AnalystUnavailableError) and error.retry_after_seconds is not None:
            pause = max(pause, error.retry_after_seconds)
        retry_at = self._clock() + timedelta(seconds=pause)
        self._store.scopes.record_failure(scope_id, _described(purpose, error), retry_at)
        _log.warning(
            "scope %s: %s failed: %s: %s; the work stays due, next retry in %.0f s",
            scope_id,
            purpose,
            type(error).__name__,
            error,
            pause,
        )


@dataclass(slots=True)
class _Limits:
    """How far a drain may go, and how far it has come. Times are monotonic seconds.

    Attributes:
        deadline: When the drain fails with TimeoutError if steps are left.
        max_steps: Number of steps after which the turn ends.
        turn_ends_at: When the turn ends.
        steps: Steps taken so far.
    """

    deadline: float = math.inf
    max_steps: float = math.inf
    turn_ends_at: float = math.inf
    steps: int = 0

    def are_reached(self) -> bool:
        """Returns whether the turn has used up its steps or its time."""
        return self.steps >= self.max_steps or time.monotonic() > self.turn_ends_at


def _retry_conflicts(work: Callable[[], Result]) -> Result:
    for _ in range(MOST_CONFLICTS):
        with contextlib.suppress(StoreConflictError):
            return work()
    return work()


def _described(purpose: str, error: MemoryOSError) -> str:
    return f"{purpose}: {type(error).__name__}: {error}"
