"""The table of scopes: the owner, the state and the lease of each scope.

A scope is the memory of one user and one assistant.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import NotFoundError, StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import Scope
from memoryos.storage.lease import Lease
from memoryos.storage.schema import owners, scopes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memoryos.storage.database import Database

__all__ = ["NULL_SCOPE_ID", "ScopeState", "Scopes"]

NULL_SCOPE_ID = "00000000-0000-0000-0000-000000000000"
"""Id used to read a scope that does not exist. No row has this id, so queries return nothing."""

_STATE = sa.select(scopes).where(scopes.c.scope_id == sa.bindparam("id"))


@dataclass(frozen=True, slots=True)
class ScopeState:
    """The state of a scope: revision numbers, and the result of the last analyst call.

    Attributes:
        scope: The ids of the user and of the assistant.
        last_seq: Log position of the newest page; 0 without pages.
        revision: Number that increases with every write. Working sets (searchable copies in memory) compare it to
            detect changes.
        learned_revision: Revision of the last change of facts or profile.
        reset_revision: Revision of the last change after which working sets must be loaded completely, such as a
            deletion.
        touched_at: Time at which the newest page was added.
        attempts: Number of failed analyst calls since the last success.
        retry_at: Time before which workers skip the scope; None if the last analyst call did not fail.
        last_error: Message of the last error; None after a success.
    """

    scope: Scope
    last_seq: int
    revision: int
    learned_revision: int
    reset_revision: int
    touched_at: datetime
    attempts: int
    retry_at: datetime | None
    last_error: str | None


_NULL_STATE = ScopeState(
    scope=Scope("", ""),
    last_seq=0,
    revision=0,
    learned_revision=0,
    reset_revision=0,
    touched_at=datetime.min.replace(tzinfo=timezone.utc),
    attempts=0,
    retry_at=None,
    last_error=None,
)


class Scopes:
    """Reads and writes the table of scopes.

    A scope is the memory of one user and one assistant.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, scope: Scope, now: datetime) -> str:
        """Returns the id of a scope (a user and an assistant). Creates the scope if it does not exist."""
        found = self.find(scope)
        if found is not None:
            return found
        scope_id = new_id()
        values = {"scope_id": scope_id, "user_id": scope.user_id, "assistant_id": scope.assistant_id}
        zeros = {"last_seq": 0, "revision": 0, "learned_revision": 0, "attempts": 0, "touched_at": now}
        with contextlib.suppress(StoreConflictError), self._database.write() as connection:
            connection.execute(sa.insert(owners).values(**values))
            connection.execute(sa.insert(scopes).values(**values, **zeros))
            return scope_id
        created_concurrently = self.find(scope)
        if created_concurrently is None:
            raise StoreConflictError(
                "the memory can't be created, because the owners table is inconsistent; run `memoryos verify`"
            )
        return created_concurrently

    def find(self, scope: Scope) -> str | None:
        """Returns the id of a scope (a user and an assistant); None if the scope does not exist."""
        with self._database.read() as connection:
            found: str | None = connection.execute(_owned_by(scope)).scalar_one_or_none()
            return found

    def all(self) -> dict[str, Scope]:
        """Returns a dictionary of all scopes (pairs of user and assistant) by id, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(scopes.c.scope_id, scopes.c.user_id, scopes.c.assistant_id).order_by(scopes.c.scope_id)
            )
            return {row.scope_id: Scope(row.user_id, row.assistant_id) for row in rows}

    def ids(self) -> list[str]:
        """Returns the ids of all scopes (pairs of user and assistant), oldest first."""
        with self._database.read() as connection:
            return list(connection.execute(sa.select(scopes.c.scope_id).order_by(scopes.c.scope_id)).scalars())

    def state(self, scope_id: str) -> ScopeState:
        """Returns the state of a scope. For ``NULL_SCOPE_ID``, returns the state of an empty scope.

        A scope is the memory of one user and one assistant.

        Raises:
            NotFoundError: If the scope does not exist.
        """
        if scope_id == NULL_SCOPE_ID:
            return _NULL_STATE
        with self._database.read(scope_id) as connection:
            row = connection.execute(_STATE, {"id": scope_id}).one_or_none()
        if row is None:
            raise NotFoundError(f"memory scope {scope_id} does not exist; check the id")
        return ScopeState(
            scope=Scope(row.user_id, row.assistant_id),
            last_seq=row.last_seq,
            revision=row.revision,
            learned_revision=row.learned_revision,
            reset_revision=row.reset_revision,
            touched_at=row.touched_at,
            attempts=row.attempts,
            retry_at=row.retry_at,
            last_error=row.last_error,
        )

    def holder(self, scope_id: str) -> str | None:
        """Returns the owner of the lease on a scope, even if the lease has expired; None without a lease."""
        with self._database.read(scope_id) as connection:
            return connection.execute(
                sa.select(scopes.c.lease_owner).where(scopes.c.scope_id == scope_id)
            ).scalar_one_or_none()

    def lease(self, scope_id: str) -> Lease | None:
        """Returns the lease on a scope, even if it has expired; None without a lease."""
        with self._database.read(scope_id) as connection:
            row = connection.execute(_STATE, {"id": scope_id}).one_or_none()
        if row is None or row.lease_owner is None or row.lease_until is None:
            return None
        return Lease(scope_id, row.lease_owner, row.lease_until)

    def claim(self, lease: Lease, now: datetime, *, dead_owner: str | None = None) -> bool:
        """Acquires a lease on a scope if the scope is free.

        The scope is not free if another owner has a lease that has not expired, or if another transaction is writing to
        the scope.

        Args:
            lease: The lease to acquire.
            now: Current time. Leases that expired before this time are ignored.
            dead_owner: Owner that is known to have terminated. A lease of this owner is ignored too.

        Returns:
            Whether the lease was acquired.
        """
        free = sa.or_(
            scopes.c.lease_owner.is_(None),
            scopes.c.lease_owner.in_([lease.owner, *([dead_owner] if dead_owner else [])]),
            scopes.c.lease_until < now,
        )
        claimable = sa.select(scopes.c.scope_id).where(scopes.c.scope_id == lease.scope_id, free)
        statement = (
            sa.update(scopes)
            .where(scopes.c.scope_id == lease.scope_id)
            .where(scopes.c.scope_id.in_(claimable.with_for_update(skip_locked=True)))
            .values(lease_owner=lease.owner, lease_until=lease.until)
        )
        with self._database.write(lease.scope_id, waits=False) as connection:
            return connection.execute(statement).rowcount == 1

    def seize(self, lease: Lease) -> None:
        """Acquires a lease even if another owner holds one. Later writes of that owner are rejected."""
        self._update(lease.scope_id, {"lease_owner": lease.owner, "lease_until": lease.until}, sa.true())

    def renew(self, lease: Lease) -> bool:
        """Extends a lease. Returns False if another owner has taken it."""
        return self._update(lease.scope_id, {"lease_until": lease.until}, scopes.c.lease_owner == lease.owner)

    def release(self, lease: Lease) -> None:
        """Releases a lease. Has no effect if another owner has taken it."""
        self._update(lease.scope_id, {"lease_owner": None, "lease_until": None}, scopes.c.lease_owner == lease.owner)

    def record_failure(self, scope_id: str, error: str, retry_at: datetime) -> None:
        """Stores the error of a failed analyst call, and the time from which the call may be repeated."""
        values = {"attempts": scopes.c.attempts + 1, "last_error": error, "retry_at": retry_at}
        self._update(scope_id, values, sa.true())

    def record_error(self, scope_id: str, error: str) -> None:
        """Stores an error message in a scope, without scheduling a retry."""
        self._update(scope_id, {"last_error": error}, sa.true())

    def record_success(self, scope_id: str) -> None:
        """Deletes the stored error and the count of failed analyst calls."""
        has_failed = sa.or_(scopes.c.attempts > 0, scopes.c.last_error.is_not(None))
        self._update(scope_id, {"attempts": 0, "last_error": None, "retry_at": None}, has_failed)

    def _update(self, scope_id: str, values: Mapping[str, Any], where: sa.ColumnElement[bool]) -> bool:
        statement = sa.update(scopes).where(scopes.c.scope_id == scope_id, where).values(**values)
        with self._database.write(scope_id) as connection:
            return connection.execute(statement).rowcount == 1


def _owned_by(scope: Scope) -> sa.Select[Any]:
    return sa.select(owners.c.scope_id).where(
        owners.c.user_id == scope.user_id, owners.c.assistant_id == scope.assistant_id
    )
