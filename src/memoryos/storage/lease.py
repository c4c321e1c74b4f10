"""Scope leases: temporary exclusive rights of workers to update the derived data of a scope.

A worker's write transaction verifies the lease and increments the scope's revision.
"""

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
    """The right of one worker, for a limited time, to update the derived data of a scope.

    Attributes:
        scope_id: Id of the scope.
        owner: Unique name of the lease holder. It serves as the fencing token: ``advance`` rejects a write if the
            stored owner differs.
        until: Time at which the lease expires unless its owner renews it.
    """

    scope_id: str
    owner: str
    until: datetime


def advance(connection: sa.Connection, lease: Lease) -> int:
    """Verifies and renews a lease, and increments the scope's revision, in the caller's write transaction.

    Every write of a worker calls this function first. So a worker that lost its lease can't write.

    Returns:
        The new revision of the scope.

    Raises:
        StoreConflictError: If another worker has taken the lease.
    """
    values = {"id": lease.scope_id, "owner": lease.owner, "until": lease.until}
    revision: int | None = connection.execute(_ADVANCE, values).scalar_one_or_none()
    if revision is None:
        raise StoreConflictError(
            f"another worker took the lease on memory scope {lease.scope_id}, so nothing was written; try again"
        )
    return revision


def revoke_lease(connection: sa.Connection, scope_id: str) -> int:
    """Deletes the lease on a scope, if any, and makes all processes reload their working sets.

    A working set is the searchable copy of a scope in memory.

    Returns:
        The new revision of the scope.
    """
    return invalidate_working_sets(connection, scope_id, lease_owner=None, lease_until=None)


def invalidate_working_sets(connection: sa.Connection, scope_id: str, **values: Any) -> int:
    """Makes every process reload its working set (the searchable copy of the scope in memory).

    Args:
        connection: A connection inside a write transaction.
        scope_id: Id of the scope.
        values: New values of other columns of the row, by column name. They are set by the same statement.

    Returns:
        The new revision of the scope.
    """
    next_revision = scopes.c.revision + 1
    statement = (
        sa.update(scopes)
        .where(scopes.c.scope_id == scope_id)
        .values(revision=next_revision, reset_revision=next_revision, learned_revision=next_revision, **values)
        .returning(scopes.c.revision)
    )
    return int(connection.execute(statement).scalar_one())
