"""Liveness by advisory locks of PostgreSQL: the server lets go of them with the session, so with the process."""

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
_TAKE = sa.text(f"SELECT pg_advisory_lock_shared({_NAMES})")
_GIVE = sa.text(f"SELECT pg_advisory_unlock_shared({_NAMES})")
_HELD = """
    SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND CAST(classid AS bigint) = :scope AND
"""
_PRESENT = sa.text(f"{_HELD} CAST(objid AS bigint) = :owner LIMIT 1")
_WANTED = sa.text(f"{_HELD} CAST(objid AS bigint) <> :owner LIMIT 1")


class AdvisoryLiveness:
    """Shows by shared locks of one session who holds or wants which scope.

    Two hashes of 32 bits name scope and owner. Where two are the same, a lease lasts until it ends by itself, or its
    holder gives way to nobody for a moment; nothing is written by two.

    A database that takes these locks and does not hold them, as some that speak like PostgreSQL do, shows nobody: then
    everybody counts as present, and leases end by themselves.

    Args:
        engine: Where connections come from; one is kept.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._session: sa.Connection | None = None
        self._tells: bool | None = None
        self._is_closed = False

    @contextlib.contextmanager
    def hold(self, lease: Lease) -> Iterator[None]:
        """Holds the lock of a lease until the block ends, from before the lease is claimed.

        Raises:
            StoreUnavailableError: If the server can't be reached.
        """
        names = _names(lease.scope_id, lease.owner)
        with mapped_errors():
            session = self._take(names)
        try:
            yield
        finally:
            with contextlib.suppress(StoreError), mapped_errors(), self._lock:
                if session is self._session:
                    self._execute(session, _GIVE, names)

    def is_alive(self, scope_id: str, owner: str) -> bool:
        """Returns whether the owner of a lease is alive and at it; True as well for one of whom nothing is known."""
        if self._tells is not True or lease_name(scope_id, owner) is None:
            return True
        return self._finds(_PRESENT, _names(scope_id, owner))

    def is_contended(self, lease: Lease) -> bool:
        """Returns whether somebody else waits for the scope of a lease."""
        return self._finds(_WANTED, _names(lease.scope_id, lease.owner))

    def close(self) -> None:
        """Ends the session, and every lock with it."""
        with self._lock:
            self._is_closed = True
            self._drop()

    def _take(self, names: dict[str, int]) -> sa.Connection:
        with self._lock:
            try:
                return self._taken(names)
            except exc.DBAPIError:
                self._drop()
                return self._taken(names)

    def _taken(self, names: dict[str, int]) -> sa.Connection:
        if self._is_closed:
            raise StoreUnavailableError("the store is closed")
        if self._session is None:
            self._session = self._engine.connect()
            self._session.detach()
        self._execute(self._session, _TAKE, names)
        if self._tells is None:
            self._tells = self._execute(self._session, _PRESENT, names) is not None
            if not self._tells:
                _log.warning("this database holds no advisory locks; leases of processes that died end by themselves")
        return self._session

    def _finds(self, statement: sa.TextClause, names: dict[str, int]) -> bool:
        with mapped_errors(), self._engine.connect() as connection:
            return self._execute(connection, statement, names) is not None

    def _execute(self, connection: sa.Connection, statement: sa.TextClause, names: dict[str, int]) -> Any:
        with connection.begin():
            return connection.execute(statement, names).scalar()

    def _drop(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            session.close()


def _names(scope_id: str, owner: str) -> dict[str, int]:
    return {"scope": _hash(scope_id), "owner": _hash(owner)}


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
