"""Maintenance of a store: completes deletions that a process left, and erases deleted bytes at a quiet moment."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from memoryos.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.storage.store import Store
    from memoryos.updating.leases import Leases

__all__ = ["Maintenance"]

_log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0
"""The erasure waits for a pause of the foreground this long …"""
LONGEST_WAIT_SECONDS = 30.0
"""… but no longer than this."""
PAUSE_SECONDS = 30.0
"""Between two erasures: what is forgotten meanwhile is erased together."""
LOOK_SECONDS = 30.0
"""How often a busy process looks for what another one left."""
POLL_SECONDS = 0.2
READER_TIMEOUT_SECONDS = 0.5
"""How long one attempt waits for a reader in another process."""
STOP_TIMEOUT_SECONDS = 10.0


class Maintenance:
    """Finishes what forgetting leaves due, of this process and of others.

    Args:
        store: Where it is noted what is due.
        leases: A deletion is completed under the lease of its scope.
        is_background: Whether a thread may erase later. Otherwise opening and closing do it.
        foreground_idle_seconds: Returns for how long the foreground has been idle.
    """

    def __init__(
        self, store: Store, leases: Leases, *, is_background: bool, foreground_idle_seconds: Callable[[], float]
    ) -> None:
        self._store = store
        self._leases = leases
        self._is_background = is_background
        self._quiet_seconds = foreground_idle_seconds
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_wanted = False
        self._is_stopping = False
        self._erased_at = -math.inf
        self._looked_at = -math.inf

    def open(self) -> None:
        """Completes deletions that dead processes left, and erases or schedules what is due.

        Raises:
            StoreError: If the store can't be read or written.
        """
        self._complete()
        if self._store.erasures.due_since() is None:
            return
        if self._is_background:
            self.schedule()
        else:
            self._store.erase(patience_seconds=READER_TIMEOUT_SECONDS)

    def schedule(self) -> None:
        """Has the thread erase at the next quiet moment; without a thread, closing does it."""
        if not self._is_background:
            return
        with self._changed:
            self._is_wanted = True
            if self._thread is None and not self._is_stopping:
                self._thread = threading.Thread(target=self._run, name="memoryos-maintenance", daemon=True)
                self._thread.start()
            self._changed.notify()

    def look(self) -> None:
        """Schedules what this process or another one left due. Asked often, it looks once in a while.

        Raises:
            StoreError: If the store can't be read.
        """
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        self._complete()
        if self._store.erasures.due_since() is not None:
            self.schedule()

    def close(self) -> None:
        """Ends the thread and erases what is due, as far as other processes allow it."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_SECONDS)
        with contextlib.suppress(StoreError):
            if self._store.erasures.due_since() is not None:
                self._store.erase(patience_seconds=READER_TIMEOUT_SECONDS)

    def _complete(self) -> None:
        for scope_id in self._store.forgetting.unfinished():
            with contextlib.suppress(StoreError), self._leases.acquire(scope_id, time.monotonic()):
                self._store.forgetting.complete(scope_id)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_wanted and not self._is_stopping:
                    self._changed.wait()
                self._is_wanted = False
            if not self._wait_for_quiet():
                return
            self._erase()

    def _erase(self) -> None:
        self._erased_at = time.monotonic()
        try:
            is_done = self._store.erase(patience_seconds=READER_TIMEOUT_SECONDS) or not self._store.erasures.due_since()
        except StoreError as error:
            _log.warning("deleted bytes were not erased: %s; tried again later", type(error).__name__)
            is_done = False
        if not is_done:
            with self._changed:
                self._is_wanted = True

    def _wait_for_quiet(self) -> bool:
        """Waits for a quiet moment; returns whether the engine is still open."""
        started = time.monotonic()
        with self._changed:
            while not self._is_stopping:
                now = time.monotonic()
                is_quiet = self._quiet_seconds() >= QUIET_SECONDS or now - started > LONGEST_WAIT_SECONDS
                if is_quiet and now - self._erased_at >= PAUSE_SECONDS:
                    return True
                self._changed.wait(POLL_SECONDS)
        return False
