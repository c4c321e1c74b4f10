"""Rounds: a process that only consolidates goes from scope to scope and takes what is due, whoever added it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from memoryos.storage.due import Due, DueScope

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.storage.store import Store
    from memoryos.updating.worker import Worker

__all__ = ["ScopePoller"]

LOOK_AGAIN_SECONDS = 300.0
"""After so long a scope is tried again in which nothing has changed since."""
_SHARE_OF_LOOKING = 0.1
"""Looking for work takes at most this share of the time, however many scopes there are."""
_MOST_WAITING = 100
"""Scopes that are handed to the worker before it has to be done with them."""


class ScopePoller:
    """Looks for due scopes again and again and hands them to the worker. Needs nothing from other processes.

    A scope that a living process holds is left to it. One that a dead process held is free at once.

    Args:
        store: Where everything is kept.
        worker: Does the work.
        config: Capacities, thresholds, weights.
        model: Name of the embedder.
        redoes: Whether the work of a stand-in is to be redone.
        clock: Returns now (aware, UTC).
    """

    def __init__(
        self,
        store: Store,
        worker: Worker,
        config: Config,
        *,
        model: str,
        redoes: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._worker = worker
        self._config = config
        self._model = model
        self._redoes = redoes
        self._clock = clock
        self._tried: dict[str, object] = {}
        self._forget_at = 0.0

    def poll(self) -> int:
        """Hands over the scopes that are due now; returns how many.

        Raises:
            StoreError: If the store can't be read now.
        """
        if time.monotonic() > self._forget_at:
            self._tried.clear()
            self._forget_at = time.monotonic() + LOOK_AGAIN_SECONDS
        count = 0
        now = self._clock()
        for scope in self._store.due.find(self._due(now), now):
            state = (scope.revision, scope.retry_at, scope.is_idle)
            if self._tried.get(scope.scope_id) == state or self._is_held(scope, now):
                continue
            self._tried[scope.scope_id] = state
            self._worker.wake_all([scope.scope_id], idle=scope.is_idle)
            count += 1
            if count >= _MOST_WAITING:
                break
        return count

    def run(self, until: threading.Event, poll_seconds: float) -> None:
        """Goes on looking until it is told to end.

        Raises:
            StoreError: If the store can't be read at the beginning; later it is tried again.
        """
        while not until.is_set():
            started = time.monotonic()
            if self._worker.waiting() == 0:
                self.poll()
            took = time.monotonic() - started
            until.wait(max(poll_seconds, took / _SHARE_OF_LOOKING))

    def _is_held(self, scope: DueScope, now: datetime) -> bool:
        if scope.owner is None or scope.until is None or scope.until < now:
            return False
        return self._store.presence.is_present(scope.scope_id, scope.owner)

    def _due(self, now: datetime) -> Due:
        weights = self._config.heat
        return Due(
            model=self._model,
            window=self._config.short_term_capacity,
            batch=self._config.consolidation_batch,
            idle_before=now - timedelta(seconds=self._config.idle_seconds),
            warm_over=self._config.mid_term_heat_threshold - weights.recency_weight,
            weights=(weights.visit_weight, weights.length_weight),
            provisional=self._redoes,
        )
