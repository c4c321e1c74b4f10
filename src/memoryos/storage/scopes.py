"""The table of scopes: their owners, their progress and their leases."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import NotFoundError, StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import Scope
from memoryos.storage.lease import Lease
from memoryos.storage.schema import owners, scopes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["ScopeState", "Scopes"]

_STATE = sa.select(scopes).where(scopes.c.scope_id == sa.bindparam("id"))


@dataclass(frozen=True, slots=True)
class ScopeState:
    """The progress of a scope.

    Attributes:
        scope: Its user and assistant.
        last_seq: Position of the newest page; 0 without pages.
        revision: Increases with every write; working sets compare it to detect changes.
        learned_revision: Revision of the last change of long-term memory.
        reset_revision: Revision of the last change that requires a full reload of working sets, such as a deletion.
        touched_at: Time of the newest append, by the engine's clock.
        attempts: Number of consecutive failures of the analyst.
        retry_at: Time before which the worker skips the scope; None without a failure.
        last_error: Message of the last failure; None after a success.
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


class Scopes:
    """Reads and writes the table of scopes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, scope: Scope, now: datetime) -> str:
        """Returns the id of a scope; creates the scope if it does not exist."""
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
            raise StoreConflictError("the scope can't be created; run `memoryos verify` to check the owners table")
        return created_concurrently

    def find(self, scope: Scope) -> str | None:
        """Returns the id of a scope; None if it does not exist."""
        with self._database.read() as connection:
            found: str | None = connection.execute(_owned_by(scope)).scalar_one_or_none()
            return found

    def all(self) -> dict[str, Scope]:
        """Returns all scopes by id, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(scopes.c.scope_id, scopes.c.user_id, scopes.c.assistant_id).order_by(scopes.c.scope_id)
            )
            return {row.scope_id: Scope(row.user_id, row.assistant_id) for row in rows}

    def ids(self) -> list[str]:
        """Returns the ids of all scopes, oldest first."""
        with self._database.read() as connection:
            return list(connection.execute(sa.select(scopes.c.scope_id).order_by(scopes.c.scope_id)).scalars())

    def state(self, scope_id: str) -> ScopeState:
        """Returns the progress of a scope.

        Raises:
            NotFoundError: If the scope does not exist.
        """
        with self._database.read(scope_id) as connection:
            row = connection.execute(_STATE, {"id": scope_id}).one_or_none()
        if row is None:
            raise NotFoundError(f"scope {scope_id} does not exist")
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
        """Returns the owner of the scope's lease, which may have expired; None without a lease."""
        with self._database.read(scope_id) as connection:
            return connection.execute(
                sa.select(scopes.c.lease_owner).where(scopes.c.scope_id == scope_id)
            ).scalar_one_or_none()

    def lease(self, scope_id: str) -> Lease | None:
        """Returns the scope's lease, which may have expired; None without a lease."""
        with self._database.read(scope_id) as connection:
            row = connection.execute(_STATE, {"id": scope_id}).one_or_none()
        if row is None or row.lease_owner is None or row.lease_until is None:
            return None
        return Lease(scope_id, row.lease_owner, row.lease_until)

    def claim(self, lease: Lease, now: datetime, *, dead_owner: str | None = None) -> bool:
        """Acquires a lease unless another owner holds an unexpired one, or a transaction is writing to the scope.

        Args:
            lease: The lease to acquire.
            now: Current time; leases that expired before it are free.
            dead_owner: An owner that is known to have terminated, so its lease is free too.

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
        """Acquires a lease unconditionally; later writes of the previous lease holder are rejected."""
        self._update(lease.scope_id, {"lease_owner": lease.owner, "lease_until": lease.until}, sa.true())

    def renew(self, lease: Lease) -> bool:
        """Extends a lease; returns whether its owner still holds it."""
        return self._update(lease.scope_id, {"lease_until": lease.until}, scopes.c.lease_owner == lease.owner)

    def release(self, lease: Lease) -> None:
        """Releases a lease; has no effect if another owner holds it now."""
        self._update(lease.scope_id, {"lease_owner": None, "lease_until": None}, scopes.c.lease_owner == lease.owner)

    def record_failure(self, scope_id: str, error: str, retry_at: datetime) -> None:
        """Records a failure of the analyst and the time of the next attempt."""
        values = {"attempts": scopes.c.attempts + 1, "last_error": error, "retry_at": retry_at}
        self._update(scope_id, values, sa.true())

    def record_error(self, scope_id: str, error: str) -> None:
        """Records an error that needs no retry."""
        self._update(scope_id, {"last_error": error}, sa.true())

    def record_success(self, scope_id: str) -> None:
        """Resets the failures of the analyst."""
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
