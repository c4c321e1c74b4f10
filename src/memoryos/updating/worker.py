"""The background worker: one thread that drains the scopes with due work, in turns, and yields to the foreground."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from memoryos.errors import MemoryOSError, StoreConflictError
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
"""The worker waits for so long a pause of the foreground before each step …"""
FOREGROUND_TIMEOUT_SECONDS = 1.0
"""… but not longer than this, so that a foreground without a pause can't starve it."""
RESUME_SECONDS = 30.0
"""A server opens a scope for each request: what another process left there is looked for once in so long."""
RESUMED_KEPT = 100_000
STOP_TIMEOUT_SECONDS = 10.0
"""How long the engine's closing waits for the step that the worker is in."""
LEASE_TIMEOUT_SECONDS = 0.5
"""How long it waits for a scope that another worker holds before it turns to the next."""
TURN_STEPS = 10
"""After this many steps a scope goes to the end of the queue, so that one user's backlog delays no other's …"""
TURN_SECONDS = 1.0
"""… or after this long, whichever comes first; a step that is running is never interrupted."""


class Worker:
    """Drains woken scopes, one at a time, each for a bounded turn. Every error of a scope stays with that scope.

    Args:
        updater: Takes the steps.
        store: Says which scopes have a back-off.
        config: Idle time and back-off.
        maintenance: Looks after the store between two scopes.
        clock: Returns now (aware, UTC), by which back-offs are judged.
    """

    def __init__(
        self,
        updater: Updater,
        store: Store,
        config: Config,
        maintenance: Maintenance,
        *,
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
        self._foreground_at = 0.0
        self._stopping = False
        self._thread: threading.Thread | None = None

    def wake(self, scope_id: str) -> None:
        """Says that a page was added; returns at once."""
        with self._changed:
            now = time.monotonic()
            self._woken.add(scope_id, now)
            self._idle.move(scope_id, now + self._idle_seconds)
            self._foreground_at = now
            self._start()
            self._changed.notify()

    def wake_all(self, scope_ids: Iterable[str], *, idle: bool = False) -> None:
        """Says that these scopes may have work left from an earlier process; all of it is due in ``idle`` ones."""
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
        """Says that a scope was opened: it may have work left from another process. Asked often, it looks once."""
        now = time.monotonic()
        if now - self._resumed_at.get(scope_id, -math.inf) >= RESUME_SECONDS:
            if len(self._resumed_at) >= RESUMED_KEPT:
                self._resumed_at.clear()
            self._resumed_at[scope_id] = now
            self.wake_all([scope_id])

    def note_foreground_activity(self) -> None:
        """Says that the foreground is busy now: the worker waits before its next step."""
        self._foreground_at = time.monotonic()

    def foreground_idle_seconds(self) -> float:
        """Returns for how long the foreground has been idle."""
        return time.monotonic() - self._foreground_at

    def waiting(self) -> int:
        """Returns how many scopes wait for the worker now."""
        return len(self._woken)

    def stop(self) -> None:
        """Ends the thread after the step that it is in. What is left stays due.

        A step that waits for a model for too long is left behind: no transaction is open while it waits, and when it
        comes back it finds the store closed and ends.
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
        while True:
            with self._changed:
                scope_id, everything = self._next()
                if self._stopping:
                    return
            self._drain(scope_id, everything=everything)
            with contextlib.suppress(MemoryOSError):
                self._maintenance.look()

    def _next(self) -> tuple[str, bool]:
        """Waits for the scope that is due first; returns it, and whether all its work is due or only full batches."""
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
                self._come_back(scope_id, wait_seconds)
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
                self._come_back(scope_id, redo_seconds)
        except _StoppedError:
            return
        except MemoryOSError as error:
            _log.log(_level(error), "scope %s waits: %s", scope_id, type(error).__name__)
            self._come_back(scope_id, 0.0)
        except Exception:  # noqa: BLE001  (the loop outlives every error of a scope)
            _log.exception("scope %s waits after an unexpected error", scope_id)
            self._come_back(scope_id, 60.0)

    def _come_back(self, scope_id: str, seconds: float) -> None:
        with self._changed:
            self._idle.move(scope_id, time.monotonic() + max(seconds, LEASE_TIMEOUT_SECONDS))

    def _requeue(self, scope_id: str, *, everything: bool) -> None:
        """Puts a scope whose turn is over behind every scope that is due now."""
        with self._changed:
            if everything:
                self._idle.move(scope_id, time.monotonic())
            else:
                self._woken.move(scope_id, time.monotonic())

    def _wait_for_quiet(self) -> None:
        started = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            quiet_in = self._foreground_at + QUIET_SECONDS - now
            if quiet_in <= 0 or now - started > FOREGROUND_TIMEOUT_SECONDS:
                return
            time.sleep(quiet_in)
        raise _StoppedError


def _level(error: MemoryOSError) -> int:
    """Returns how loudly it is told: that others work on a scope, or forgot pages meanwhile, is no fault."""
    if isinstance(error, LeaseHeldError):
        return logging.DEBUG
    return logging.INFO if isinstance(error, StoreConflictError) else logging.WARNING


class _StoppedError(Exception):
    """The engine closes; what is left stays due."""
