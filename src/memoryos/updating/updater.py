"""The updater: runs the due steps of a scope one after the other, and commits each.

A scope is the memory of one user and one assistant. A step is one unit of work, such as embedding or reading pages.
There is no table of jobs: queries find the work that is due (``steps.py``). So a crash loses no work and leaves no step
half done. No transaction is open during calls of the analyst or the embedder.
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
from memoryos.updating.leases import Leases
from memoryos.updating.profiling import PROFILE
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
MAX_DOUBLINGS = 30
"""Maximum number of times that the pause after repeated failures is doubled."""
MAX_RESTARTS = 10
"""Maximum number of restarts of ``flush`` after conflicts with deletions."""
Result = TypeVar("Result")


class Updater:
    """Updates scopes: runs their due steps, such as embedding or reading pages.

    While steps run, this object holds the lease on the scope. So no other worker updates the scope.

    Args:
        store: The store.
        embedder: Computes vectors.
        analyst: Reads pages, and infers traits.
        working_sets: Searchable copies of scopes in memory.
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
        """Counts a visit of these segments in memory. A visit is a recall of a segment.

        The counts are stored by the next drain or by ``record_visits``.
        """
        with self._visits_lock:
            self._visits.setdefault(scope_id, Counter()).update(segment_ids)

    def record_visits(self, scope_id: str) -> None:
        """Writes the visit counts of a scope from memory to the store, in one short transaction."""
        with self._visits_lock:
            visits = self._visits.pop(scope_id, None)
        if visits:
            self._store.mid_term.visit(scope_id, visits, self._clock())

    def record_all_visits(self) -> None:
        """Writes the visit counts of all scopes from memory to the store.

        A store error is ignored, because visit counts are not essential.
        """
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
        """Runs the due steps of a scope until no step is due.

        Args:
            scope_id: Id of the scope.
            everything: Whether incomplete batches of pages are due too.
            timeout_seconds: Maximum duration, checked after each step; None for no limit.
            lease_timeout_seconds: Maximum time to wait for a lease that another worker holds. Default: until the
                timeout.
            before_step: Function that is called before each step.

        Returns:
            The number of steps that were run.

        Raises:
            AnalystError: If the analyst failed. The error is recorded on the scope, and the work stays due. If a
                fallback analyst exists, it does the work of an unavailable analyst, and no error is raised.
            EmbeddingError: If the embedder failed. The error is recorded on the scope, and the work stays due.
            StoreUnavailableError: If another worker still held the lease at the timeout.
            TimeoutError: If the timeout passed before all steps were run.
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
        """Runs due steps of a scope until no step is due or a limit is reached.

        Args:
            scope_id: Id of the scope.
            everything: Whether incomplete batches of pages are due too.
            lease_timeout_seconds: Maximum time to wait for a lease that another worker holds.
            before_step: Function that is called before each step.
            max_steps: Maximum number of steps.
            max_seconds: Maximum duration, checked after each step.

        Returns:
            Whether no step is due any more.

        Raises:
            MemoryOSError: As for ``drain``.
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
        """Runs all due steps, including incomplete batches. Restarts if pages are forgotten meanwhile.

        Raises:
            StoreConflictError: After too many restarts.
            MemoryOSError: As for ``drain``.
            TimeoutError: If the timeout passed before all steps were run.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds

        def work() -> int:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            return self.drain(scope_id, everything=True, timeout_seconds=left, before_step=before_step)

        _retry_conflicts(work)

    def embed(self, scope_id: str, *, lease_timeout_seconds: float) -> None:
        """Computes the missing vectors of a scope. Runs no other step and calls no analyst.

        Raises:
            EmbeddingError: If the embedder failed.
            StoreUnavailableError: If another worker still held the lease at the timeout.
        """
        embedding = self._steps.embedding
        if embedding.has_pages(scope_id):
            with self.leases.acquire(scope_id, time.monotonic() + lease_timeout_seconds) as lease:
                while embedding.take(self.leases.with_new_expiry(lease)):
                    pass

    def profile_everything(self, scope_id: str) -> int:
        """Reads all due pages, then infers traits from every active segment.

        Normally only segments above the heat threshold are profiled. Segments without unprofiled pages are skipped.

        Returns:
            The number of segments that were profiled.

        Raises:
            AnalystError: If the analyst failed. The error is recorded on the scope.
        """
        self.flush(scope_id)
        count = _retry_conflicts(lambda: self._profile_unprofiled(scope_id))
        self.flush(scope_id)
        return count

    def redo_wait_seconds(self, scope_id: str) -> float | None:
        """Returns the time in seconds until results of the fallback analyst may be replaced.

        Returns None if the scope has no such results.
        """
        redoer = self._steps.redoer
        if redoer is None or not redoer.is_due(scope_id):
            return None
        return self._backoff_seconds(scope_id)

    @property
    def has_fallback(self) -> bool:
        """Whether a fallback analyst does the work while the configured analyst is unavailable."""
        return self._steps.redoer is not None

    def note_failure(self, scope_id: str, purpose: str, error: MemoryOSError) -> None:
        """Records the error of a failed operation on the scope. Schedules no retry."""
        self._store.scopes.record_error(scope_id, _describe(purpose, error))
        _log.warning("scope %s: the operation %r failed with %s: %s", scope_id, purpose, type(error).__name__, error)

    def _begin(self, scope_id: str, *, everything: bool) -> Drain:
        """Stores the visits counted in memory, which influence heat, and returns the limits of a new drain."""
        may_redo = everything or self._backoff_seconds(scope_id) == 0
        self.record_visits(scope_id)
        return Drain(scope_id, everything=everything, holds_records=self._holds_records(scope_id), may_redo=may_redo)

    def _take_steps(self, lease: Lease, drain: Drain, limits: _Limits, before_step: Callable[[], None] | None) -> bool:
        """Runs due steps until no step is due.

        Returns:
            False if a limit was reached, or another worker waits for the lease, before all steps were run.

        Raises:
            TimeoutError: If the deadline passed after a step.
        """
        started = time.monotonic()
        while True:
            if before_step is not None:
                before_step()
            if not self._take_first_due(self.leases.with_new_expiry(lease), drain):
                break
            limits.steps += 1
            if time.monotonic() > limits.deadline:
                raise TimeoutError(
                    f"the timeout passed before all due pages of scope {lease.scope_id} were processed; "
                    "call flush again to process the remaining pages"
                )
            if limits.are_reached() or self.leases.is_contended(lease, started):
                return False
        if self.redo_wait_seconds(lease.scope_id) is None:
            self._store.scopes.record_success(lease.scope_id)
        return True

    def _take_first_due(self, lease: Lease, drain: Drain) -> bool:
        """Runs the first step that is due; returns False if no step is due."""
        for step in self._steps.in_order:
            try:
                if step.is_due(drain) and step.take(lease, drain):
                    return True
            except (AnalystError, EmbeddingError) as error:
                self._record_failure(lease.scope_id, step.name, error)
                if step.name == REDO and isinstance(error, AnalystError):
                    drain.may_redo = False  # the results of the fallback stay valid, so the other steps can run
                else:
                    raise
        return False

    def _profile_unprofiled(self, scope_id: str) -> int:
        profiler = self._steps.profiler_of(holds_records=self._holds_records(scope_id))
        with self.leases.acquire(scope_id) as lease:
            unprofiled = [each for each in self._store.mid_term.all(scope_id) if each.length > 0]
            for segment in unprofiled:
                try:
                    profiler.profile(self.leases.with_new_expiry(lease), segment)
                except AnalystError as error:
                    self._record_failure(scope_id, PROFILE, error)
                    raise
        return len(unprofiled)

    def _holds_records(self, scope_id: str) -> bool:
        return self._store.scopes.state(scope_id).scope.holds_records

    def _backoff_seconds(self, scope_id: str) -> float:
        """Returns the seconds until the analyst may be called again after a failure; 0 means at once."""
        retry_at = self._store.scopes.state(scope_id).retry_at
        return 0.0 if retry_at is None else max(0.0, (retry_at - self._clock()).total_seconds())

    def _record_failure(self, scope_id: str, purpose: str, error: MemoryOSError) -> None:
        """Records an error on the scope, and schedules a retry with exponential back-off."""
        attempts = min(self._store.scopes.state(scope_id).attempts, MAX_DOUBLINGS)
        pause = min(self._config.retry_base_seconds * 2**attempts, self._config.retry_max_seconds)
        if isinstance(error, AnalystUnavailableError) and error.retry_after_seconds is not None:
            pause = max(pause, error.retry_after_seconds)
        retry_at = self._clock() + timedelta(seconds=pause)
        self._store.scopes.record_failure(scope_id, _describe(purpose, error), retry_at)
        _log.warning(
            "scope %s: the step %r failed with %s: %s; it is retried in %.0f s",
            scope_id,
            purpose,
            type(error).__name__,
            error,
            pause,
        )


@dataclass(slots=True)
class _Limits:
    """The limits of one drain and its number of steps. Times are monotonic seconds.

    Attributes:
        deadline: Time after which the drain fails with ``TimeoutError``.
        max_steps: Number of steps after which the drain ends without an error.
        turn_ends_at: Time after which the drain ends without an error.
        steps: Number of steps run already.
    """

    deadline: float = math.inf
    max_steps: float = math.inf
    turn_ends_at: float = math.inf
    steps: int = 0

    def are_reached(self) -> bool:
        """Returns whether the maximum number of steps is reached or the time for this drain has passed."""
        return self.steps >= self.max_steps or time.monotonic() > self.turn_ends_at


def _retry_conflicts(work: Callable[[], Result]) -> Result:
    for _ in range(MAX_RESTARTS):
        with contextlib.suppress(StoreConflictError):
            return work()
    return work()


def _describe(purpose: str, error: MemoryOSError) -> str:
    return f"{purpose}: {type(error).__name__}: {error}"
