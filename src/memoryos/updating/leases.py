"""Leases: only one worker at a time, of all threads and processes, updates a scope."""

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
"""Time after which a worker yields its lease if another worker waits for it.

The worker checks this between two steps.
"""
YIELD_SECONDS = 0.2
"""Maximum time that a worker waits, after it released a lease, until the waiting worker acquires it."""


class LeaseHeldError(StoreUnavailableError):
    """Another worker holds the lease on the scope and does the work. This is not a fault."""


class Leases:
    """Acquires, extends and releases leases.

    A lease is the right of one worker to update a scope for a limited time.

    Args:
        store: The store, which contains the leases.
        config: Supplies the duration of a lease.
        clock: Returns the current time (aware, UTC).
    """

    def __init__(self, store: Store, config: Config, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._seconds = config.lease_seconds
        self._clock = clock
        self._held: dict[str, Lease] = {}
        self._process = f"{socket.gethostname()}:{os.getpid()}"

    @contextlib.contextmanager
    def acquire(self, scope_id: str, deadline: float | None = None) -> Iterator[Lease]:
        """Waits for the lease on a scope, yields it, and releases it when the block ends.

        If the lease belongs to a terminated process, this method does not wait until the lease expires.

        Args:
            scope_id: Id of the scope.
            deadline: Time (monotonic seconds) until which to wait; None waits without limit.

        Raises:
            LeaseHeldError: If another worker still holds the lease at the deadline.
        """
        lease = self.with_new_expiry(Lease(scope_id, f"{self._process}:{new_id()}", self._clock()))
        with self._store.liveness.hold(lease):
            while not self._store.scopes.claim(lease, self._clock(), dead_owner=self._dead_holder(scope_id)):
                if deadline is not None and time.monotonic() > deadline:
                    raise LeaseHeldError(
                        f"another worker holds the lease on memory scope {scope_id}; try again when it has finished"
                    )
                time.sleep(POLL_SECONDS)
                lease = self.with_new_expiry(lease)
            with self._releasing(lease):
                yield lease

    @contextlib.contextmanager
    def seize(self, scope_id: str) -> Iterator[Lease]:
        """Takes the lease on a scope from its holder, yields it, and releases it when the block ends.

        The next write of the former holder fails with ``StoreConflictError``.
        """
        lease = self.with_new_expiry(Lease(scope_id, f"{self._process}:{new_id()}", self._clock()))
        with self._store.liveness.hold(lease):
            self._store.scopes.seize(lease)
            with self._releasing(lease):
                yield lease

    def with_new_expiry(self, lease: Lease) -> Lease:
        """Returns a copy of a lease that expires a full lease duration from now.

        The holder's next write stores the new expiry time.
        """
        return Lease(lease.scope_id, lease.owner, self._clock() + timedelta(seconds=self._seconds))

    def prolong(self, lease: Lease) -> Lease:
        """Extends a lease in the store at once.

        Normally, each write of a worker extends the lease. Work that writes less often than once per lease duration
        must call this method.

        Raises:
            StoreConflictError: If another worker has taken the lease.
        """
        renewed = self.with_new_expiry(lease)
        if not self._store.scopes.renew(renewed):
            raise StoreConflictError(f"another worker took the lease on memory scope {lease.scope_id}; try again")
        return renewed

    def is_contended(self, lease: Lease, held_from: float) -> bool:
        """Returns whether a lease has been held for ``MAX_HOLD_SECONDS`` while another worker waits for it.

        Args:
            lease: The lease.
            held_from: Time (monotonic seconds) at which the lease was acquired.
        """
        return time.monotonic() - held_from > MAX_HOLD_SECONDS and self._store.liveness.is_contended(lease)

    def yield_to_waiter(self, scope_id: str) -> None:
        """Waits until a waiting worker has acquired the lease that the caller just released.

        Waits at most ``YIELD_SECONDS``.
        """
        deadline = time.monotonic() + YIELD_SECONDS
        while self._store.scopes.holder(scope_id) is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def release_all(self) -> None:
        """Releases all leases acquired through this object, even while a step is running.

        So other workers can take over the scope of a step that hangs.
        """
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
