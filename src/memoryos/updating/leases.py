"""Leases: mutual exclusion of workers, threads and processes on one scope."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from memoryos.errors import StoreConflictError, StoreError, StoreUnavailableError
from memoryos.identifiers import new_id
from memoryos.storage.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.storage.store import Store

__all__ = ["LeaseHeldError", "Leases"]

POLL_SECONDS = 0.02
MAX_HOLD_SECONDS = 1.0
"""A contended lease is yielded between two steps after this long …"""
YIELD_SECONDS = 0.2
"""… and the former holder waits at most this long for the other worker to acquire it."""


class LeaseHeldError(StoreUnavailableError):
    """Another worker holds the scope's lease and does its work; not a fault."""


class Leases:
    """Acquires, extends and releases the leases of scopes.

    Args:
        store: Holds the leases.
        config: Duration of a lease.
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
        """Waits for the scope's lease, yields it, and releases it at the end.

        The lease of a process that no longer runs is free at once, even if the database says that it has not expired.

        Args:
            scope_id: The scope.
            deadline: Monotonic time at which waiting ends; None waits without limit.

        Raises:
            LeaseHeldError: If another worker kept the lease until the deadline.
        """
        lease = self.with_new_expiry(Lease(scope_id, f"{self._process}:{new_id()}", self._clock()))
        with self._store.liveness.hold(lease):
            while not self._store.scopes.claim(lease, self._clock(), dead_owner=self._dead_holder(scope_id)):
                if deadline is not None and time.monotonic() > deadline:
                    raise LeaseHeldError(f"another worker holds the lease of scope {scope_id}; try again later")
                time.sleep(POLL_SECONDS)
                lease = self.with_new_expiry(lease)
            with self._releasing(lease):
                yield lease

    @contextlib.contextmanager
    def seize(self, scope_id: str) -> Iterator[Lease]:
        """Takes the lease from its current holder, yields it, and releases it at the end.

        The former holder's next write fails with StoreConflictError.
        """
        lease = self.with_new_expiry(Lease(scope_id, f"{self._process}:{new_id()}", self._clock()))
        with self._store.liveness.hold(lease):
            self._store.scopes.seize(lease)
            with self._releasing(lease):
                yield lease

    def with_new_expiry(self, lease: Lease) -> Lease:
        """Returns the lease with a full duration from now on; the holder's next write stores the new expiry."""
        return Lease(lease.scope_id, lease.owner, self._clock() + timedelta(seconds=self._seconds))

    def prolong(self, lease: Lease) -> Lease:
        """Stores a new expiry at once, for work whose writes are further apart than the duration of a lease.

        Raises:
            StoreConflictError: If another worker holds the lease now.
        """
        renewed = self.with_new_expiry(lease)
        if not self._store.scopes.renew(renewed):
            raise StoreConflictError(f"the lease of scope {lease.scope_id} was taken over by another worker; try again")
        return renewed

    def is_contended(self, lease: Lease, held_from: float) -> bool:
        """Returns whether another worker waits for a lease that was held for ``MAX_HOLD_SECONDS``.

        Args:
            lease: The lease.
            held_from: Monotonic time of its acquisition.
        """
        return time.monotonic() - held_from > MAX_HOLD_SECONDS and self._store.liveness.is_contended(lease)

    def yield_to_waiter(self, scope_id: str) -> None:
        """Waits up to ``YIELD_SECONDS`` until a waiting worker has acquired the lease that was just released."""
        deadline = time.monotonic() + YIELD_SECONDS
        while self._store.scopes.holder(scope_id) is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def release_all(self) -> None:
        """Releases every lease of this object, so that others can continue the work of a step that hangs."""
        for lease in list(self._held.values()):
            with contextlib.suppress(StoreError):
                self._store.scopes.release(lease)

    @contextlib.contextmanager
    def _releasing(self, lease: Lease) -> Iterator[None]:
        self._held[lease.owner] = lease
        try:
            yield
        finally:
            del self._held[lease.owner]
            with contextlib.suppress(StoreError):
                self._store.scopes.release(lease)

    def _dead_holder(self, scope_id: str) -> str | None:
        holder = self._store.scopes.holder(scope_id)
        return None if holder is None or self._store.liveness.is_alive(scope_id, holder) else holder
