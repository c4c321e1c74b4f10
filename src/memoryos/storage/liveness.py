"""Liveness: detects that a lease holder has terminated, so that others need not wait for the expiry.

A lease is the right of one worker to update a scope for a limited time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from memoryos.storage.lease import Lease

__all__ = ["Liveness", "lease_name"]

_OWNER = re.compile(r"(?<=.):\d{1,20}:([0-9a-f-]{36})\Z")


class Liveness(Protocol):
    """Reports whether the process that owns a lease is running.

    This only shortens the wait for a lease. Correctness does not depend on it, because ``lease.advance`` rejects writes
    without a valid lease.
    """

    def hold(self, lease: Lease) -> AbstractContextManager[None]:
        """Marks the owner of a lease as running until the block ends.

        A worker enters the block before it acquires the lease.

        Raises:
            StoreUnavailableError: If the mark can't be written.
        """
        ...

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns False if the owner of a lease has certainly terminated, and True otherwise."""
        ...

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether another worker is waiting for a lease on the same scope."""
        ...


def lease_name(scope_id: str, owner: str) -> str | None:
    """Returns the name of a lease: the scope id and the UUID at the end of the owner's name.

    Returns None if the owner's name does not end with a UUID.
    """
    found = _OWNER.search(owner)
    return None if found is None else f"{scope_id}.{found[1]}"
