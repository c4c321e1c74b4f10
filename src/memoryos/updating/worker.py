"""The background worker: one thread that updates queued scopes.

A scope is the memory of one user and one assistant. The worker handles the scopes in short turns, and pauses while
calls of users use the store.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from memoryos.errors import MemoryOSError, StoreConflictError
from memoryos.updating.foreground import ForegroundActivity
from memoryos.updating.leases import LeaseHeldError
from memoryos.updating.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.storage.store import Store
    from memoryos.updating.store_maintenance import Maintenance
    from memoryos.updating.updater import Updater

__all__ = ["Worker"]

_log = logging.getLogger(__name__)

QUIET_SECONDS = 0.05
"""Before each step, the worker waits until no user's call has used the store for this time."""
FOREGROUND_TIMEOUT_SECONDS = 1.0
"""Maximum time that the worker waits, before each step, for a pause in the calls of users.

So the worker makes progress even if users call without a pause.
"""
RESUME_SECONDS = 30.0
"""Minimum time between two calls of ``resume`` that queue the same scope.

A server calls ``resume`` in each request. Most of these calls then have no effect.
"""
MAX_RESUMED_SCOPES = 100_000
"""Maximum number of scopes for which the time of the last ``resume`` is kept."""
STOP_TIMEOUT_SECONDS = 10.0
"""Maximum time that ``stop`` waits for the running step."""
LEASE_TIMEOUT_SECONDS = 0.5
"""Maximum time that the worker waits for the lease on a scope before it handles the next scope."""
TURN_STEPS = 10
"""Maximum number of steps in one turn of a scope.

The scope then moves to the end of the queue, so that the work of one user does not delay other users.
"""
TURN_SECONDS = 1.0
"""Time after which the turn of a scope ends. A running step is not interrupted."""
NICENESS = 5
"""Added to the niceness of the worker's thread, so that requests get the processor first (only on Linux)."""
UNEXPECTED_ERROR_PAUSE_SECONDS = 60.0
"""Time until a scope is retried after an error that is not a ``MemoryOSError``."""


class Worker:
    """A background thread that updates queued scopes, one at a time, in short turns.

    A scope is the memory of one user and one assistant. An error in one scope does not affect other scopes.

    Args:
        updater: Runs the steps.
        store: Supplies the time before which a scope must not be retried.
        config: Supplies the time without a new page after which a scope counts as idle.
        maintenance: Called after each turn; None for no maintenance.
        activity: Reports when users' calls use the store; the worker waits for pauses between them.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(
        self,
        updater: Updater,
        store: Store,
        config: Config,
        maintenance: Maintenance | None = None,
        *,
        activity: ForegroundActivity | None = None,
        clock: Callable[[], datetime],
    ) -> None:
        self._maintenance = maintenance
        self._updater = updater
        self._store = store
        self._idle_seconds = config.reading_delay_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._woken = Schedule()
        self._idle = Schedule()
        self._resumed_at: dict[str, float] = {}
        self._activity = activity or ForegroundActivity()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def wake(self, scope_id: str) -> None:
        """Queues a scope after a page was added to it. Does not wait for the work.

        The scope is queued twice: at once for full batches of pages, and for the time when it becomes idle, for
        incomplete batches.
        """
        with self._changed:
            now = time.monotonic()
            self._woken.add(scope_id, now)
            self._idle.move(scope_id, now + self._idle_seconds)
            self._activity.note()
            self._start()
            self._changed.notify()

    def wake_all(self, scope_ids: Iterable[str], *, idle: bool = False) -> None:
        """Queues scopes that may have work left by an earlier process.

        Args:
            scope_ids: Ids of the scopes.
            idle: Whether the scopes are idle, so that incomplete batches of pages are due too.
        """
        with self._changed:
            now = time.monotonic()
            for scope_id in scope_ids:
                if idle:
                    self._idle.move(scope_id, now)
                else:
                    self._woken.add(scope_id, now)
            if self._woken or self._idle:
                self._start()
            self._changed.notify()

    def resume(self, scope_id: str) -> None:
        """Queues a scope when it is opened, because an earlier process may have left work.

        Does nothing if it was called for the scope less than ``RESUME_SECONDS`` ago.
        """
        now = time.monotonic()
        if now - self._resumed_at.get(scope_id, -math.inf) >= RESUME_SECONDS:
            if len(self._resumed_at) >= MAX_RESUMED_SCOPES:
                self._resumed_at.clear()
            self._resumed_at[scope_id] = now
            self.wake_all([scope_id])

    def note_foreground_activity(self) -> None:
        """Records that a user's call is using the store. The worker then pauses before its next step."""
        self._activity.note()

    def waiting(self) -> int:
        """Returns the number of scopes queued for work at once.

        Scopes that are queued for the time when they become idle are not counted.
        """
        return len(self._woken)

    def is_current_thread(self) -> bool:
        """Returns whether the caller runs in this worker's thread."""
        return self._thread is threading.current_thread()

    def stop(self) -> None:
        """Ends the thread after the running step. Work that is not done stays due.

        This method waits at most ``STOP_TIMEOUT_SECONDS``. If the step still runs then, e.g. because it waits for a
        model, nothing is damaged: the step has no open transaction, and its next access to the closed store raises an
        error that ends the thread.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_TIMEOUT_SECONDS)

    def _start(self) -> None:
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(target=self._run, name="memoryos-worker", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        _lower_priority()
        while True:
            with self._changed:
                scope_id, everything = self._next()
                if self._stopping:
                    return
            self._drain(scope_id, everything=everything)
            if self._maintenance is not None:
                with contextlib.suppress(MemoryOSError):
                    self._maintenance.check()

    def _next(self) -> tuple[str, bool]:
        """Waits until a scope is due; returns its id, and whether incomplete batches are due too."""
        while not self._stopping:
            woken_at, idle_at = self._woken.next_at(), self._idle.next_at()
            if woken_at is not None and (idle_at is None or woken_at <= idle_at):
                return self._woken.take(), False
            now = time.monotonic()
            if idle_at is not None and idle_at <= now:
                return self._idle.take(), True
            self._changed.wait(None if idle_at is None else idle_at - now)
        return "", False

    def _drain(self, scope_id: str, *, everything: bool) -> None:
        try:
            retry_at = self._store.scopes.state(scope_id).retry_at
            wait_seconds = 0.0 if retry_at is None else (retry_at - self._clock()).total_seconds()
            if wait_seconds > 0 and not self._updater.has_fallback:
                self._retry_in(scope_id, wait_seconds)
                return
            is_done = self._updater.drain_turn(
                scope_id,
                everything=everything,
                lease_timeout_seconds=LEASE_TIMEOUT_SECONDS,
                before_step=self._wait_for_quiet,
                max_steps=TURN_STEPS,
                max_seconds=TURN_SECONDS,
            )
            if not is_done:
                self._requeue(scope_id, everything=everything)
                return
            redo_seconds = self._updater.redo_wait_seconds(scope_id)
            if redo_seconds is not None:
                self._retry_in(scope_id, redo_seconds)
        except _StoppedError:
            return
        except MemoryOSError as error:
            _log.log(
                _level(error),
                "scope %s: the update stopped early (%s) and is retried automatically",
                scope_id,
                type(error).__name__,
            )
            self._retry_in(scope_id, 0.0)
        except Exception:  # noqa: BLE001  (an error in one scope must not end the thread)
            pause = UNEXPECTED_ERROR_PAUSE_SECONDS
            _log.exception(
                "scope %s: the update stopped because of an unexpected error and is retried in %.0f s",
                scope_id,
                pause,
            )
            self._retry_in(scope_id, pause)

    def _retry_in(self, scope_id: str, seconds: float) -> None:
        """Queues a scope for a retry after ``seconds``, but at least ``LEASE_TIMEOUT_SECONDS`` later."""
        with self._changed:
            self._idle.move(scope_id, time.monotonic() + max(seconds, LEASE_TIMEOUT_SECONDS))

    def _requeue(self, scope_id: str, *, everything: bool) -> None:
        """Moves a scope to the end of the queue after its turn."""
        with self._changed:
            if everything:
                self._idle.move(scope_id, time.monotonic())
            else:
                self._woken.move(scope_id, time.monotonic())

    def _wait_for_quiet(self) -> None:
        started = time.monotonic()
        while not self._stopping:
            quiet_in = QUIET_SECONDS - self._activity.quiet_seconds()
            if quiet_in <= 0 or time.monotonic() - started > FOREGROUND_TIMEOUT_SECONDS:
                return
            time.sleep(quiet_in)
        raise _StoppedError


def _level(error: MemoryOSError) -> int:
    """Returns the log level of an error. Only unexpected errors are warnings.

    A lease held by another worker and a conflict with a deletion are expected.
    """
    if isinstance(error, LeaseHeldError):
        return logging.DEBUG
    return logging.INFO if isinstance(error, StoreConflictError) else logging.WARNING


class _StoppedError(Exception):
    """The worker was stopped. Work that is not done stays due."""


def _lower_priority() -> None:
    """Lowers the priority of the calling thread on Linux; does nothing on other systems.

    Only on Linux does each thread have its own niceness.
    """
    if sys.platform == "linux":
        thread_id = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread_id, os.getpriority(os.PRIO_PROCESS, thread_id) + NICENESS)
