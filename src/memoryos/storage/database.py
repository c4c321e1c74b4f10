"""The interface of all databases: read and write transactions, and the mapping of their errors."""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from memoryos.errors import (
    SchemaMismatchError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
    StoreUnreadableError,
)
from memoryos.storage import migrations
from memoryos.storage.column_types import DamagedValueError
from memoryos.storage.damaged_values import find_damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from memoryos.storage.liveness import Liveness


__all__ = ["ContendedError", "Database", "mapped_errors"]

Result = TypeVar("Result")
_UNDECODABLE = "decode to UTF-8"
_UNREADABLE = ("malformed", "not a database", "encrypted", _UNDECODABLE)
_RAISED_BY_DAMAGE = (AttributeError, KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError)
_DAMAGED = ("XX001", "XX002")
_OUT_OF_RANGE = "22003"
_ABORTED = ("40001", "40P01")


class ContendedError(StoreConflictError):
    """The database aborted the transaction because of a deadlock or a serialization failure; retry it."""


class Database(ABC):
    """An open database.

    At most one write transaction per scope is open at a time, across all threads and processes; so a transaction may
    read first and base its writes on the result. Transactions of different scopes are not serialized.

    Attributes:
        liveness: Detects terminated lease holders; None if the lock files of the scratch directory do.
        scratch_base: Path of the scratch directory without its suffix.
    """

    liveness: Liveness | None = None
    scratch_base: Path

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._process = os.getpid()
        self._is_closed = False
        self._thread_state = threading.local()

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the database kind: "sqlite" or "postgresql"."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def read(self, scope_id: str | None = None) -> Iterator[sa.Connection]:
        """Yields a connection inside a read transaction: all its reads see the same snapshot.

        Args:
            scope_id: The scope to read; None for tables without a scope, or to read all scopes.
        """
        self._check_open()
        snapshot: tuple[str, sa.Connection] | None = getattr(self._thread_state, "snapshot", None)
        with contextlib.ExitStack() as stack:
            stack.enter_context(mapped_errors())
            if snapshot is not None and snapshot[0] == scope_id:
                connection = snapshot[1]
            else:
                connection = stack.enter_context(self._reading(scope_id))
            stack.enter_context(_locate_damage(connection, scope_id))
            yield connection

    @contextlib.contextmanager
    def snapshot(self, scope_id: str) -> Iterator[None]:
        """Opens a read transaction that is shared by all reads of the scope in this thread until the block ends.

        Keep the block short: it occupies a connection, and an erasure waits until it ends.
        """
        outer_snapshot = getattr(self._thread_state, "snapshot", None)
        with self.read(scope_id) as connection:
            self._thread_state.snapshot = scope_id, connection
            try:
                yield
            finally:
                self._thread_state.snapshot = outer_snapshot

    @contextlib.contextmanager
    def write(self, scope_id: str | None = None, *, waits: bool = True) -> Iterator[sa.Connection]:
        """Yields a connection inside a write transaction, committed when the block ends, rolled back when it raises.

        Args:
            scope_id: The scope to write; None for tables without a scope.
            waits: Whether to wait for the scope's other write transactions. With False they may run at the same time,
                so the caller must use statements that are correct then.
        """
        self._check_open()
        with (
            mapped_errors(),
            self._writing(scope_id, waits=waits) as connection,
            _locate_damage(connection, scope_id),
        ):
            yield connection

    def write_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:
        """Runs short work inside a write transaction that other threads may share; durable when this returns.

        Raises:
            StoreError: If the transaction failed; nothing was written.
            Exception: Any error that the work raised; nothing of the work was written.
        """
        self._check_open()

        def run_mapped(connection: sa.Connection) -> Result:
            with mapped_errors(), _locate_damage(connection, scope_id):
                return work(connection)

        return self._do_grouped(scope_id, run_mapped)

    @property
    @abstractmethod
    def erases_completely(self) -> bool:
        """Whether a successful ``rewrite`` removes every deleted byte from all files."""

    @property
    @abstractmethod
    def rewrites_quickly(self) -> bool:
        """Whether ``rewrite`` is currently fast enough to run inside a request."""

    @abstractmethod
    def rewrite(self, timeout_seconds: float = 5.0) -> bool:
        """Removes deleted data from the files; returns whether that succeeded within the timeout."""

    @abstractmethod
    def truncate_log(self, timeout_seconds: float = 5.0) -> bool:
        """Repeats only the second step of ``rewrite``, after the first step succeeded."""

    @abstractmethod
    def faults(self, connection: sa.Connection, max_lines: int) -> Iterator[str]:
        """Yields faults of the files themselves, about ``max_lines`` lines per kind."""

    @abstractmethod
    def close(self) -> None:
        """Closes all connections; has no effect when called again."""

    @abstractmethod
    def _reading(self, scope_id: str | None) -> AbstractContextManager[sa.Connection]:
        """Opens a read transaction."""

    @abstractmethod
    def _writing(self, scope_id: str | None, *, waits: bool) -> AbstractContextManager[sa.Connection]:
        """Opens a write transaction."""

    @abstractmethod
    def _migrating(self) -> AbstractContextManager[sa.Connection]:
        """Opens the write transaction of a migration; only one process migrates at a time."""

    @abstractmethod
    def _do_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:
        """Runs the work inside a write transaction."""

    @property
    def is_inherited(self) -> bool:
        """Whether the process that opened the database is a parent; then the connections and locks belong to it."""
        return os.getpid() != self._process

    def _check_open(self) -> None:
        if self.is_inherited:
            raise StoreUnavailableError("the store was opened before this process was forked; open it again here")
        if self._is_closed:
            raise StoreUnavailableError("the store is closed; open it again")

    def _migrate(self) -> None:
        with self.read() as connection:
            state = migrations.state_of(connection)
        if state is migrations.State.CURRENT:
            return
        if state is migrations.State.UNKNOWN:
            raise SchemaMismatchError(
                "the database was created by a newer release of MemoryOS or by another program; "
                "upgrade memoryos-engine or choose another data_storage_path (the database was not changed)"
            )
        with mapped_errors(), self._migrating() as connection:
            migrations.upgrade(connection)


@contextlib.contextmanager
def _locate_damage(connection: sa.Connection, scope_id: str | None) -> Iterator[None]:
    """Replaces an error that a damaged row caused inside the block by one that names the row.

    Raises:
        StoreUnreadableError: If a row of the scope contains a value that is invalid for its column.
    """
    try:
        yield
    except (DamagedValueError, exc.OperationalError, *_RAISED_BY_DAMAGE) as error:
        if isinstance(error, exc.OperationalError) and _UNDECODABLE not in str(error.orig):
            raise
        table = error.place.partition(".")[0] if isinstance(error, DamagedValueError) else None
        found = next(find_damaged(connection, scope_id, table or None), None)
        if found is None:
            raise
        raise DamagedValueError(found.place, found.row) from (
            None if isinstance(error, exc.OperationalError) else error
        )


@contextlib.contextmanager
def mapped_errors() -> Iterator[None]:
    """Maps errors of SQLAlchemy and of the operating system inside the block to errors of the store.

    Raises:
        StoreConflictError: If a write violates a constraint.
        ContendedError: If the database aborted the transaction because of a concurrent one.
        StoreUnreadableError: If the file is damaged or not a database.
        StoreUnavailableError: If the database can't be read or written now.
    """
    try:
        yield
    except exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) is not None:
            raise _map_server_error(error.orig) from None  # the other parts of the server's message quote rows
        raise _map_sqlite_error(error) from error
    except OSError as error:
        raise StoreUnavailableError(f"the database can't be used now: {error}") from error
    except exc.TimeoutError as error:
        raise StoreUnavailableError(
            "no database connection became free; try again later or reduce concurrent requests"
        ) from error


def _map_sqlite_error(error: exc.DBAPIError) -> StoreError:
    reason = str(error.orig).partition(" with text ")[0]  # the rest of the message quotes content
    if isinstance(error, exc.IntegrityError):
        return StoreConflictError(reason)
    if any(words in reason for words in _UNREADABLE):
        return StoreUnreadableError(
            f"the database can't be read: {reason} (the database was not changed; restore it from a backup)"
        )
    return StoreUnavailableError(f"the database can't be used now: {reason}")


def _map_server_error(error: Any) -> StoreError:
    reason = f"{error.diag.message_primary} ({error.sqlstate})"
    if error.sqlstate.startswith("23"):
        return StoreConflictError(reason)
    if error.sqlstate in _ABORTED:
        return ContendedError(reason)
    if error.sqlstate in _DAMAGED:
        return StoreUnreadableError(
            f"the database can't be read: {reason} (the database was not changed; restore it from a backup)"
        )
    if error.sqlstate == _OUT_OF_RANGE:
        return StoreUnreadableError(f"a stored number is out of range: {reason}; `memoryos verify` lists such rows")
    return StoreUnavailableError(f"the database can't be used now: {reason}")
