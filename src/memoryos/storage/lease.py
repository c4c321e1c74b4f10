"""Scope leases: each worker write verifies the lease and increments the scope's revision in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import StoreConflictError
from memoryos.storage.schema import scopes

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Lease", "advance", "invalidate_working_sets", "revoke_lease"]

_ADVANCE = (
    sa.update(scopes)
    .where(scopes.c.scope_id == sa.bindparam("id"), scopes.c.lease_owner == sa.bindparam("owner"))
    .values(revision=scopes.c.revision + 1, lease_until=sa.bindparam("until"))
    .returning(scopes.c.revision)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The exclusive right to write derived data of one scope until a time.

    Attributes:
        scope_id: The scope.
        owner: Unique name of the lease holder. It is the fencing token: ``advance`` compares it with the stored owner.
        until: When the lease expires unless it is renewed.
    """

    scope_id: str
    owner: str
    until: datetime


def advance(connection: sa.Connection, lease: Lease) -> int:
    """Increments the scope's revision and renews the lease, inside the transaction of a worker's write.

    Every write of a worker calls this first, so a worker that lost its lease cannot write.

    Returns:
        The scope's revision after the write.

    Raises:
        StoreConflictError: If another worker holds the lease now.
    """
    values = {"id": lease.scope_id, "owner": lease.owner, "until": lease.until}
    revision: int | None = connection.execute(_ADVANCE, values).scalar_one_or_none()
    if revision is None:
        raise StoreConflictError(f"the lease on scope {lease.scope_id} was lost to another worker; nothing was written")
    return revision


def revoke_lease(connection: sa.Connection, scope_id: str) -> int:
    """Removes any lease on a scope and invalidates its working sets; returns the new revision."""
    return invalidate_working_sets(connection, scope_id, lease_owner=None, lease_until=None)


def invalidate_working_sets(connection: sa.Connection, scope_id: str, **values: Any) -> int:
    """Makes every process reload its working set of a scope; returns the new revision.

    Args:
        connection: Inside a write transaction.
        scope_id: The scope.
        values: Other columns of the scope to set in the same statement.
    """
    next_revision = scopes.c.revision + 1
    statement = (
        sa.update(scopes)
        .where(scopes.c.scope_id == scope_id)
        .values(revision=next_revision, reset_revision=next_revision, learned_revision=next_revision, **values)
        .returning(scopes.c.revision)
    )
    return int(connection.execute(statement).scalar_one())
