"""Leases: of several workers, threads and processes, one works on a scope at a time."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from memoryos.errors import StoreConflictError, StoreError, StoreUnavailableError
from memoryos.identifiers import new_id
from memoryos.storage.scopes import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.storage.store import Store

__all__ = ["LeaseHeldError", "Leases"]

POLL_SECONDS = 0.02
HOLD_SECONDS = 1.0
"""Who has worked for so long on a scope that another waits for gives way between two steps …"""
GIVE_WAY_SECONDS = 0.2
"""… and waits so long at most for the other to take it."""


class LeaseHeldError(StoreUnavailableError):
    """Another worker holds the scope: it does the work, nothing is wrong."""


class Leases:
    """Hands out the leases of scopes, by turns.

    Args:
        store: Where they stand.
        config: How long a lease lasts.
        clock: Returns now (aware, UTC).
    """

    def __init__(self, store: Store, config: Config, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._seconds = config.lease_seconds
        self._clock = clock
        self._held: dict[str, Lease] = {}
        self._process = f"{socket.gethostname()}:{os.getpid()}"

    @contextlib.contextmanager
    def acquire(self, scope_id: str, deadline: float | None = None) -> Iterator[Lease]:
        """Yields the lease on a scope, which is given back at the end.

        A lease that is not held by anybody alive is free, whatever stands in the database.

        Args:
            scope_id: The scope.
            deadline: Monotonic time until which another worker's lease is waited for; None waits as long as it takes.

        Raises:
            LeaseHeldError: If another worker kept it until then.
        """
        lease = self.with_new_expiry(Lease(scope_id, f"{self._process}:{new_id()}", self._clock()))
        with self._store.presence.present(lease):
            while not self._store.scopes.claim(lease, self._clock(), instead_of=self._dead_holder(scope_id)):
                if deadline is not None and time.monotonic() > deadline:
                    raise LeaseHeldError(f"another worker holds scope {scope_id}")
                time.sleep(POLL_SECONDS)
                lease = self.with_new_expiry(lease)
            self._held[lease.owner] = lease
            try:
                yield lease
            finally:
                del self._held[lease.owner]
                with contextlib.suppress(StoreError):
                    self._store.scopes.release(lease)

    @contextlib.contextmanager
    def seize(self, scope_id: str) -> Iterator[Lease]:
        """Takes the scope from whoever works on it and yields its lease, which is given back at the end.

        The former holder finds at its next write that the lease was lost.
        """
        lease = self.with_new_expiry(Lease(scope_id, f"{self._process}:{new_id()}", self._clock()))
        with self._store.presence.present(lease):
            self._store.scopes.seize(lease)
            self._held[lease.owner] = lease
            try:
                yield lease
            finally:
                del self._held[lease.owner]
                with contextlib.suppress(StoreError):
                    self._store.scopes.release(lease)

    def with_new_expiry(self, lease: Lease) -> Lease:
        """Returns the lease as the next write prolongs it."""
        return Lease(lease.scope_id, lease.owner, self._clock() + timedelta(seconds=self._seconds))

    def prolong(self, lease: Lease) -> Lease:
        """Prolongs a lease now, for work between whose writes more time passes than a lease lasts.

        Raises:
            StoreConflictError: If another worker took the scope over.
        """
        renewed = self.with_new_expiry(lease)
        if not self._store.scopes.prolong(renewed):
            raise StoreConflictError(f"the lease on scope {lease.scope_id} was lost")
        return renewed

    def is_contended(self, lease: Lease, held_from: float) -> bool:
        """Returns whether somebody else waits for a scope that was held since then (monotonic) and has had its turn."""
        return time.monotonic() - held_from > HOLD_SECONDS and self._store.presence.is_wanted(lease)

    def yield_to_waiter(self, scope_id: str) -> None:
        """Waits a moment until whoever wants the scope, which was just given back, has it."""
        deadline = time.monotonic() + GIVE_WAY_SECONDS
        while self._store.scopes.holder(scope_id) is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def release_all(self) -> None:
        """Gives back every lease, so that others may go on at once with what a step that hangs has left due."""
        for lease in list(self._held.values()):
            with contextlib.suppress(StoreError):
                self._store.scopes.release(lease)

    def _dead_holder(self, scope_id: str) -> str | None:
        holder = self._store.scopes.holder(scope_id)
        return None if holder is None or self._store.presence.is_present(scope_id, holder) else holder
