"""Liveness: detects lease holders that are no longer running, so that their leases can be taken before they expire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from memoryos.storage.lease import Lease

__all__ = ["Liveness", "lease_name"]

_OWNER = re.compile(r"(?<=.):\d{1,20}:([0-9a-f-]{36})\Z")


class Liveness(Protocol):
    """Reports which lease owners are running.

    It only shortens the wait for a lease. Correctness does not depend on it: ``lease.advance`` rejects writes without a
    valid lease.
    """

    def hold(self, lease: Lease) -> AbstractContextManager[None]:
        """Marks the owner of a lease as running until the block ends; to be entered before the lease is claimed.

        Raises:
            StoreUnavailableError: If the mark can't be written.
        """
        ...

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns False if the owner of a lease is certainly not running; True if it is running or unknown."""
        ...

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether another worker waits for the scope of a lease."""
        ...


def lease_name(scope_id: str, owner: str) -> str | None:
    """Returns the name of a lease: its scope and the UUID at the end of its owner; None without such a UUID."""
    found = _OWNER.search(owner)
    return None if found is None else f"{scope_id}.{found[1]}"
