"""The background worker: one thread that drains queued scopes in turns and pauses while the foreground is busy."""

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
"""Before each step the worker waits until the foreground has been idle for this long …"""
FOREGROUND_TIMEOUT_SECONDS = 1.0
"""… but no longer than this, so that a permanently busy foreground can't starve it."""
RESUME_SECONDS = 30.0
"""Minimum interval at which ``resume`` queues the same scope, because a server opens a scope for each request."""
RESUMED_KEPT = 100_000
"""Maximum number of scopes whose last ``resume`` is remembered."""
STOP_TIMEOUT_SECONDS = 10.0
"""How long ``stop`` waits for the running step."""
LEASE_TIMEOUT_SECONDS = 0.5
"""How long the worker waits for a scope's lease before it continues with the next scope."""
TURN_STEPS = 10
"""After this many steps a scope goes to the end of the queue, so that one user's backlog delays no other user …"""
TURN_SECONDS = 1.0
"""… or after this long, whichever comes first. A running step is never interrupted."""
NICENESS = 5
"""Added to the niceness of the worker's thread, so that requests get the processor first (only on Linux)."""
UNEXPECTED_ERROR_PAUSE_SECONDS = 60.0
"""Pause of a scope after an error that is no ``MemoryOSError``."""


class Worker:
    """Drains queued scopes, one at a time, each for a bounded turn. An error in a scope does not affect other scopes.

    Args:
        updater: Takes the steps.
        store: Provides the scopes' back-off.
        config: Idle time.
        maintenance: Runs between two scopes; None for none.
        activity: Use of the store by the foreground; the worker waits for its pauses.
        clock: Returns now (aware, UTC), against which a back-off is compared.
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
        self._idle_seconds = config.idle_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._woken = Schedule()
        self._idle = Schedule()
        self._resumed_at: dict[str, float] = {}
        self._activity = activity or ForegroundActivity()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def wake(self, scope_id: str) -> None:
        """Queues a scope because a page was added, and again for the time when it becomes idle; returns at once."""
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
            scope_ids: The scopes.
            idle: Whether they are idle, so that incomplete batches are due too.
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
        """Queues a scope that was opened, because another process may have left work in it.

        Does nothing if the last call for the scope is less than ``RESUME_SECONDS`` ago.
        """
        now = time.monotonic()
        if now - self._resumed_at.get(scope_id, -math.inf) >= RESUME_SECONDS:
            if len(self._resumed_at) >= RESUMED_KEPT:
                self._resumed_at.clear()
            self._resumed_at[scope_id] = now
            self.wake_all([scope_id])

    def note_foreground_activity(self) -> None:
        """Records that the foreground is busy now, so that the worker pauses before its next step."""
        self._activity.note()

    def waiting(self) -> int:
        """Returns the number of queued scopes, without those that wait to become idle."""
        return len(self._woken)

    def stop(self) -> None:
        """Ends the thread after the running step. The remaining work stays due.

        After ``STOP_TIMEOUT_SECONDS`` a step that still waits for a model is abandoned. This is safe: it has no open
        transaction, and its next access to the closed store raises an error that ends the thread.
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
                    self._maintenance.look()

    def _next(self) -> tuple[str, bool]:
        """Waits for the scope that is due first; returns it, and whether incomplete batches are due too."""
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
            _log.log(_level(error), "scope %s was not drained: %s; retrying", scope_id, type(error).__name__)
            self._retry_in(scope_id, 0.0)
        except Exception:  # noqa: BLE001  (an error in one scope must not end the thread)
            pause = UNEXPECTED_ERROR_PAUSE_SECONDS
            _log.exception("scope %s was not drained after an unexpected error; retrying in %.0f s", scope_id, pause)
            self._retry_in(scope_id, pause)

    def _retry_in(self, scope_id: str, seconds: float) -> None:
        """Queues a scope for a later time; no earlier than ``LEASE_TIMEOUT_SECONDS`` from now."""
        with self._changed:
            self._idle.move(scope_id, time.monotonic() + max(seconds, LEASE_TIMEOUT_SECONDS))

    def _requeue(self, scope_id: str, *, everything: bool) -> None:
        """Moves a scope whose turn has ended to the end of the queue."""
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
    """Returns the log level: a lease held elsewhere and a conflict with forgetting are expected, other errors not."""
    if isinstance(error, LeaseHeldError):
        return logging.DEBUG
    return logging.INFO if isinstance(error, StoreConflictError) else logging.WARNING


class _StoppedError(Exception):
    """The worker was stopped; the remaining work stays due."""


def _lower_priority() -> None:
    """Lowers the priority of the calling thread. Other systems than Linux have one niceness for the whole process."""
    if sys.platform == "linux":
        thread_id = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread_id, os.getpriority(os.PRIO_PROCESS, thread_id) + NICENESS)
