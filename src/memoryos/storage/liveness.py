"""Liveness: who tells living workers from dead ones, so that nobody waits for a lease whose holder is gone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from memoryos.storage.lease import Lease

__all__ = ["Liveness", "lease_name"]

_OWNER = re.compile(r"(?<=.):\d{1,20}:([0-9a-f-]{36})\Z")


class Liveness(Protocol):
    """Says who is at work. It only ever shortens the time until a lease ends by itself: the lease is the fence."""

    def hold(self, lease: Lease) -> AbstractContextManager[None]:
        """Shows that the owner of a lease is there until the block ends, from before the lease is claimed.

        Raises:
            StoreUnavailableError: If that can't be shown.
        """
        ...

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns whether the owner of a lease is alive and at it; True as well for one of whom nothing is known."""
        ...

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether somebody else waits for the scope of a lease."""
        ...


def lease_name(scope_id: str, owner: str) -> str | None:
    """Returns the name of a lease, of its scope and what its owner calls it; None for an owner of another kind."""
    found = _OWNER.search(owner)
    return None if found is None else f"{scope_id}.{found[1]}"
