"""Background maintenance: completes interrupted deletions and erases deleted bytes from the database files."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from memoryos.errors import StoreError

if TYPE_CHECKING:
    from memoryos.storage.store import Store
    from memoryos.updating.foreground import ForegroundActivity
    from memoryos.updating.leases import Leases

__all__ = ["Maintenance"]

_log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0
"""The erasure waits until no user's call has used the store for this time."""
MAX_WAIT_SECONDS = 30.0
"""Maximum time that the erasure waits for a pause in the calls of users."""
PAUSE_SECONDS = 30.0
"""Minimum time between two erasures. One erasure covers all deletions before it."""
CHECK_SECONDS = 30.0
"""Minimum time between two reads of the store by ``check``."""
POLL_SECONDS = 0.2
READER_TIMEOUT_SECONDS = 0.5
"""Maximum time that one attempt to erase waits for readers in other processes."""
STOP_TIMEOUT_SECONDS = 10.0


class Maintenance:
    """Completes interrupted deletions and performs due erasures, including those of other processes.

    An erasure removes the bytes of deleted rows from the database files.

    Args:
        store: The store. It records which deletions and erasures are due.
        leases: Supplies the lease on the scope of an interrupted deletion.
        activity: Reports when users' calls use the store.
        is_background: Whether a background thread performs erasures. Otherwise they are performed when the store is
            opened and closed.
    """

    def __init__(self, store: Store, leases: Leases, activity: ForegroundActivity, *, is_background: bool) -> None:
        self._store = store
        self._leases = leases
        self._is_background = is_background
        self._activity = activity
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_requested = False
        self._is_stopping = False
        self._erased_at = -math.inf
        self._checked_at = -math.inf

    def open(self) -> None:
        """Completes interrupted deletions, then performs due erasures or schedules them.

        Raises:
            StoreError: If the store can't be read or written.
        """
        self._complete()
        if self._store.erasures.due_since() is None:
            return
        if self._is_background:
            self.schedule()
        else:
            self._store.erase(timeout_seconds=READER_TIMEOUT_SECONDS)

    def schedule(self) -> None:
        """Schedules an erasure in the background thread.

        If ``is_background`` is False, does nothing; ``close`` then performs the erasure.
        """
        if not self._is_background:
            return
        with self._changed:
            self._is_requested = True
            if self._thread is None and not self._is_stopping:
                self._thread = threading.Thread(target=self._run, name="memoryos-maintenance", daemon=True)
                self._thread.start()
            self._changed.notify()

    def check(self) -> None:
        """Completes interrupted deletions, and schedules the erasures that are due.

        Includes the deletions and erasures of processes that ended early.

        Does nothing if it was called less than ``CHECK_SECONDS`` ago.

        Raises:
            StoreError: If the store can't be read.
        """
        now = time.monotonic()
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        self._complete()
        if self._store.erasures.due_since() is not None:
            self.schedule()

    def close(self) -> None:
        """Ends the background thread and performs due erasures, unless readers in other processes prevent it."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_SECONDS)
        with contextlib.suppress(StoreError):
            if self._store.erasures.due_since() is not None:
                self._store.erase(timeout_seconds=READER_TIMEOUT_SECONDS)

    def _complete(self) -> None:
        for scope_id in self._store.forgetting.unfinished():
            with contextlib.suppress(StoreError), self._leases.acquire(scope_id, time.monotonic()):
                self._store.forgetting.complete(scope_id)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_requested and not self._is_stopping:
                    self._changed.wait()
                self._is_requested = False
            if not self._wait_for_quiet():
                return
            self._erase()

    def _erase(self) -> None:
        self._erased_at = time.monotonic()
        try:
            is_done = self._store.erase(timeout_seconds=READER_TIMEOUT_SECONDS) or not self._store.erasures.due_since()
        except StoreError as error:
            _log.warning(
                "deleted bytes could not be erased from the database files (%s); the next attempt follows in %.0f s",
                type(error).__name__,
                PAUSE_SECONDS,
            )
            is_done = False
        if not is_done:
            with self._changed:
                self._is_requested = True

    def _wait_for_quiet(self) -> bool:
        """Waits for a pause in the calls of users; returns False if the store is being closed."""
        started = time.monotonic()
        with self._changed:
            while not self._is_stopping:
                now = time.monotonic()
                is_quiet = self._activity.quiet_seconds() >= QUIET_SECONDS or now - started > MAX_WAIT_SECONDS
                if is_quiet and now - self._erased_at >= PAUSE_SECONDS:
                    return True
                self._changed.wait(POLL_SECONDS)
        return False
