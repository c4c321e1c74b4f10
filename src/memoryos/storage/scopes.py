"""Scopes: who owns what, how far a scope has come, and which worker holds it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from memoryos.errors import NotFoundError, StoreConflictError
from memoryos.identifiers import new_id
from memoryos.model import Scope
from memoryos.storage.schema import owners, scopes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memoryos.storage.database import Database

__all__ = ["NULL_SCOPE_ID", "Lease", "ScopeState", "Scopes", "advance"]

NULL_SCOPE_ID = "00000000-0000-0000-0000-000000000000"
"""Id for reading a scope that does not exist: no row has this id, so every query returns an empty result."""

_ADVANCE = (
    sa.update(scopes)
    .where(scopes.c.scope_id == sa.bindparam("id"), scopes.c.lease_owner == sa.bindparam("owner"))
    .values(revision=scopes.c.revision + 1, lease_until=sa.bindparam("until"))
    .returning(scopes.c.revision)
)
_STATE = sa.select(scopes).where(scopes.c.scope_id == sa.bindparam("id"))


@dataclass(frozen=True, slots=True)
class ScopeState:
    """How far a scope has come.

    Attributes:
        scope: Whose it is.
        last_seq: Position of its newest page; 0 without pages.
        revision: Grows with every write; what a working set compares.
        learned_revision: The revision at which its long-term memory last changed.
        reset_revision: The revision at which pages last changed their segments; until then places were only added.
        touched_at: When its newest page was added, by the engine's clock.
        attempts: Failures of the analyst in a row.
        retry_at: Before this time the worker leaves it alone.
        last_error: What the analyst said last, while it fails.
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


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to consolidate one scope: the owner's name, and how long it holds after each renewal."""

    scope_id: str
    owner: str
    until: datetime


class Scopes:
    """Reads and writes the table of scopes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, scope: Scope, now: datetime) -> str:
        """Returns the scope's id, having made the scope if it is new."""
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
        made_meanwhile = self.find(scope)
        if made_meanwhile is None:
            raise StoreConflictError("the scope was neither there nor could it be made")
        return made_meanwhile

    def find(self, scope: Scope) -> str | None:
        """Returns the scope's id, None if nothing was ever remembered for it."""
        with self._database.read() as connection:
            found: str | None = connection.execute(_owned_by(scope)).scalar_one_or_none()
            return found

    def all(self) -> dict[str, Scope]:
        """Returns every scope by its id, oldest first."""
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
        """Returns the state of a scope; an empty state for ``NULL_SCOPE_ID``.

        Raises:
            NotFoundError: If there is no such scope.
        """
        if scope_id == NULL_SCOPE_ID:
            return _NULL_STATE
        with self._database.read(scope_id) as connection:
            row = connection.execute(_STATE, {"id": scope_id}).one_or_none()
        if row is None:
            raise NotFoundError(f"no scope {scope_id}")
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
        """Returns the owner of the scope's lease, expired or not; None if nobody holds it."""
        with self._database.read(scope_id) as connection:
            return connection.execute(
                sa.select(scopes.c.lease_owner).where(scopes.c.scope_id == scope_id)
            ).scalar_one_or_none()

    def lease(self, scope_id: str) -> Lease | None:
        """Returns the scope's lease, expired or not; None if nobody holds it."""
        with self._database.read(scope_id) as connection:
            row = connection.execute(_STATE, {"id": scope_id}).one_or_none()
        if row is None or row.lease_owner is None or row.lease_until is None:
            return None
        return Lease(scope_id, row.lease_owner, row.lease_until)

    def claim(self, lease: Lease, now: datetime, *, instead_of: str | None = None) -> bool:
        """Takes the scope unless another owner holds an unexpired lease, or somebody writes to it just now.

        Args:
            lease: What to write.
            now: Leases that ended before are free.
            instead_of: An owner who is known to be dead, so that its lease is free too.

        Returns:
            Whether the scope is ours now.
        """
        free = sa.or_(
            scopes.c.lease_owner.is_(None),
            scopes.c.lease_owner.in_([lease.owner, *([instead_of] if instead_of else [])]),
            scopes.c.lease_until < now,
        )
        mine = sa.select(scopes.c.scope_id).where(scopes.c.scope_id == lease.scope_id, free)
        statement = (
            sa.update(scopes)
            .where(scopes.c.scope_id == lease.scope_id)
            .where(scopes.c.scope_id.in_(mine.with_for_update(skip_locked=True)))
            .values(lease_owner=lease.owner, lease_until=lease.until)
        )
        with self._database.write(lease.scope_id, waits=False) as connection:
            return connection.execute(statement).rowcount == 1

    def seize(self, lease: Lease) -> None:
        """Takes the scope from whoever holds it; what the former holder would write next is refused."""
        self._update(lease.scope_id, {"lease_owner": lease.owner, "lease_until": lease.until}, sa.true())

    def prolong(self, lease: Lease) -> bool:
        """Writes down a renewed lease; returns whether the scope is still ours."""
        return self._update(lease.scope_id, {"lease_until": lease.until}, scopes.c.lease_owner == lease.owner)

    def release(self, lease: Lease) -> None:
        """Gives the scope back; does nothing if somebody else took it over."""
        self._update(lease.scope_id, {"lease_owner": None, "lease_until": None}, scopes.c.lease_owner == lease.owner)

    def record_failure(self, scope_id: str, error: str, retry_at: datetime) -> None:
        """Notes that the analyst failed and when to try again."""
        values = {"attempts": scopes.c.attempts + 1, "last_error": error, "retry_at": retry_at}
        self._update(scope_id, values, sa.true())

    def record_error(self, scope_id: str, error: str) -> None:
        """Notes what went wrong where nothing has to be tried again."""
        self._update(scope_id, {"last_error": error}, sa.true())

    def record_success(self, scope_id: str) -> None:
        """Forgets the failures of the analyst."""
        has_failed = sa.or_(scopes.c.attempts > 0, scopes.c.last_error.is_not(None))
        self._update(scope_id, {"attempts": 0, "last_error": None, "retry_at": None}, has_failed)

    def _update(self, scope_id: str, values: Mapping[str, Any], where: sa.ColumnElement[bool]) -> bool:
        statement = sa.update(scopes).where(scopes.c.scope_id == scope_id, where).values(**values)
        with self._database.write(scope_id) as connection:
            return connection.execute(statement).rowcount == 1


def advance(connection: sa.Connection, lease: Lease) -> int:
    """Counts a worker's write and prolongs its lease, inside the transaction of that write.

    It is the fence in front of everything that a worker writes: who lost the lease writes nothing.

    Returns:
        The scope's revision after the write.

    Raises:
        StoreConflictError: If another worker took the scope over.
    """
    values = {"id": lease.scope_id, "owner": lease.owner, "until": lease.until}
    revision: int | None = connection.execute(_ADVANCE, values).scalar_one_or_none()
    if revision is None:
        raise StoreConflictError(f"the lease on scope {lease.scope_id} was lost")
    return revision


def _owned_by(scope: Scope) -> sa.Select[Any]:
    return sa.select(owners.c.scope_id).where(
        owners.c.user_id == scope.user_id, owners.c.assistant_id == scope.assistant_id
    )
