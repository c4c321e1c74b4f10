"""Detects running lease holders by advisory locks of PostgreSQL.

When a process ends, the server ends its session and releases the session's locks.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc

from memoryos.errors import StoreError, StoreUnavailableError
from memoryos.storage.database import mapped_errors
from memoryos.storage.liveness import lease_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memoryos.storage.lease import Lease

__all__ = ["AdvisoryLiveness"]

_log = logging.getLogger(__name__)
_NAMES = ", ".join(f"CAST(CAST(CAST(:{name} AS bigint) AS bit(32)) AS integer)" for name in ("scope", "owner"))
_LOCK = sa.text(f"SELECT pg_advisory_lock_shared({_NAMES})")
_UNLOCK = sa.text(f"SELECT pg_advisory_unlock_shared({_NAMES})")
_GRANTED = """
    SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND CAST(classid AS bigint) = :scope AND
"""
_IS_LOCKED_BY = sa.text(f"{_GRANTED} CAST(objid AS bigint) = :owner LIMIT 1")
_IS_LOCKED_BY_OTHER = sa.text(f"{_GRANTED} CAST(objid AS bigint) <> :owner LIMIT 1")


class AdvisoryLiveness:
    """Holds an advisory lock for each lease that this process holds or waits for.

    All locks are shared locks in one database session. The key of a lock is two 32-bit hashes: one of the scope and one
    of the lease owner. If hashes collide, the lease of a terminated process may stay until it expires, or a worker may
    yield a lease for which no other worker waits. Even then, two workers never write at the same time.

    Some PostgreSQL-compatible servers accept advisory locks but do not hold them. On such a server, ``is_alive``
    returns True for every owner, and leases of terminated processes last until they expire.

    Args:
        engine: Supplies database connections. One connection is kept for the locks.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._session: sa.Connection | None = None
        self._are_locks_held: bool | None = None
        self._is_closed = False

    @contextlib.contextmanager
    def hold(self, lease: Lease) -> Iterator[None]:
        """Holds the advisory lock of a lease until the block ends.

        A worker enters the block before it acquires the lease.

        Raises:
            StoreUnavailableError: If the server can't be reached.
        """
        hashes = _hashes(lease.scope_id, lease.owner)
        with mapped_errors():
            session = self._acquire(hashes)
        try:
            yield
        finally:
            with contextlib.suppress(StoreError), mapped_errors(), self._lock:
                if session is self._session:
                    self._execute(session, _UNLOCK, hashes)

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns whether the process that owns a lease is running; True if this is unknown."""
        if self._are_locks_held is not True or lease_name(scope_id, owner) is None:
            return True
        return self._exists(_IS_LOCKED_BY, _hashes(scope_id, owner))

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether another worker is waiting for a lease on the same scope."""
        return self._exists(_IS_LOCKED_BY_OTHER, _hashes(lease.scope_id, lease.owner))

    def close(self) -> None:
        """Closes the database session. The server then releases all its locks."""
        with self._lock:
            self._is_closed = True
            self._close_session()

    def _acquire(self, hashes: dict[str, int]) -> sa.Connection:
        with self._lock:
            try:
                return self._lock_in_session(hashes)
            except exc.DBAPIError:
                self._close_session()
                return self._lock_in_session(hashes)

    def _lock_in_session(self, hashes: dict[str, int]) -> sa.Connection:
        if self._is_closed:
            raise StoreUnavailableError("the store is closed; open it again")
        if self._session is None:
            self._session = self._engine.connect()
            self._session.detach()
        self._execute(self._session, _LOCK, hashes)
        if self._are_locks_held is None:
            self._are_locks_held = self._execute(self._session, _IS_LOCKED_BY, hashes) is not None
            if not self._are_locks_held:
                _log.warning(
                    "the database does not support advisory locks; after a worker crashes, its scope is not updated "
                    "until the lease expires"
                )
        return self._session

    def _exists(self, statement: sa.TextClause, hashes: dict[str, int]) -> bool:
        with mapped_errors(), self._engine.connect() as connection:
            return self._execute(connection, statement, hashes) is not None

    def _execute(self, connection: sa.Connection, statement: sa.TextClause, hashes: dict[str, int]) -> Any:
        with connection.begin():
            return connection.execute(statement, hashes).scalar()

    def _close_session(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            session.close()


def _hashes(scope_id: str, owner: str) -> dict[str, int]:
    return {"scope": _hash(scope_id), "owner": _hash(owner)}


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
