"""The scope poller: a loop that finds scopes with due work in the store and queues them.

It runs in the worker process and also finds work that other processes left.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from memoryos.seams import MAX_BATCH_PAGES
from memoryos.storage.due_scopes import DueCriteria, DueScope

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.storage.store import Store
    from memoryos.updating.worker import Worker

__all__ = ["ScopePoller"]

RECHECK_SECONDS = 300.0
"""Time after which a scope is queued again although it has not changed since it was last queued."""
_MAX_POLLING_SHARE = 0.1
"""Maximum fraction of the time that is spent on polls. After a slow poll, the pause is longer."""
_MAX_QUEUED = 100
"""Maximum number of scopes that one poll queues. The next poll waits until the queue is empty."""


class ScopePoller:
    """Finds scopes with due work in the store, and queues them for the worker.

    A scope is the memory of one user and one assistant. The poller finds due work of all processes that use the store,
    and these processes do not have to report it. If another running process holds the lease on a scope, the poller
    skips the scope, because that process does the work.

    Args:
        store: The store.
        worker: Updates the queued scopes.
        config: Capacities, thresholds and weights.
        model: Name of the embedder.
        redoes: Whether results of the fallback analyst are due to be replaced.
        immediate: Whether the analyst reads pages immediately.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(
        self,
        store: Store,
        worker: Worker,
        config: Config,
        *,
        model: str,
        redoes: bool,
        immediate: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._worker = worker
        self._config = config
        self._model = model
        self._redoes = redoes
        self._reads_immediately = immediate
        self._clock = clock
        self._queued_states: dict[str, object] = {}
        self._recheck_at = 0.0

    def poll(self) -> int:
        """Queues the scopes that have due work now, and returns their number.

        Raises:
            StoreError: If the store can't be read.
        """
        if time.monotonic() > self._recheck_at:
            self._queued_states.clear()
            self._recheck_at = time.monotonic() + RECHECK_SECONDS
        count = 0
        now = self._clock()
        for scope in self._store.due.find(self._due(now), now):
            state = (scope.revision, scope.retry_at, scope.is_idle)
            if self._queued_states.get(scope.scope_id) == state or self._is_held(scope, now):
                continue
            self._queued_states[scope.scope_id] = state
            self._worker.wake_all([scope.scope_id], idle=scope.is_idle)
            count += 1
            if count >= _MAX_QUEUED:
                break
        return count

    def run(self, until: threading.Event, poll_seconds: float) -> None:
        """Polls repeatedly until the event is set.

        Args:
            until: Ends the loop when set.
            poll_seconds: Minimum pause between two polls.

        Raises:
            StoreError: If the store can't be read. The caller can call ``run`` again to continue.
        """
        while not until.is_set():
            started = time.monotonic()
            if self._worker.waiting() == 0:
                self.poll()
            took = time.monotonic() - started
            until.wait(max(poll_seconds, took / _MAX_POLLING_SHARE))

    def _is_held(self, scope: DueScope, now: datetime) -> bool:
        if scope.owner is None or scope.until is None or scope.until < now:
            return False
        return self._store.liveness.is_alive(scope.scope_id, scope.owner)

    def _due(self, now: datetime) -> DueCriteria:
        weights = self._config.heat
        return DueCriteria(
            model=self._model,
            batch=1 if self._reads_immediately else min(self._config.consolidation_batch, MAX_BATCH_PAGES),
            idle_before=now - timedelta(seconds=self._config.reading_delay_seconds),
            warm_over=self._config.mid_term_heat_threshold - weights.recency_weight,
            weights=(weights.visit_weight, weights.length_weight),
            provisional=self._redoes,
        )
