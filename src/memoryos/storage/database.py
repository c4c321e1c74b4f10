"""The base class of the SQLite and PostgreSQL databases: transactions and conversion of errors."""

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
    """The database aborted a transaction because it conflicted with another one; retry the transaction.

    PostgreSQL aborts a transaction to resolve a deadlock or after a serialization failure.
    """


class Database(ABC):
    """An open database: the base class of the SQLite and the PostgreSQL database.

    Each scope (the memory of one user and one assistant) has at most one open write transaction, across all threads and
    processes. So a transaction may read rows first and then write values that depend on them. Transactions of different
    scopes may run at the same time.

    Attributes:
        liveness: Detects leases of terminated processes. None for SQLite, where ``ScratchDir`` detects them.
        scratch_base: Path of the scratch directory without its suffix ".work".
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
        """The name of the database kind in SQLAlchemy: "sqlite" or "postgresql"."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def read(self, scope_id: str | None = None) -> Iterator[sa.Connection]:
        """Opens a read transaction and yields its connection; all reads in the block see one snapshot.

        Args:
            scope_id: Id of the scope to read. None to read all scopes or tables without a scope.
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
        """Opens a read transaction for the block. Every read of the scope in the block uses this transaction.

        This applies only to reads in the thread that entered the block. Keep the block short: it occupies a
        connection, and deleted bytes can't be erased from the files until it ends.
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
        """Opens a write transaction and yields its connection.

        The transaction is committed when the block ends, and rolled back if the block raises an error.

        Args:
            scope_id: Id of the scope to write; None for tables without a scope.
            waits: Whether to wait until other write transactions of the scope end. If False, this transaction may run
                at the same time as the others. The caller must then use statements that are correct in this case.
        """
        self._check_open()
        with (
            mapped_errors(),
            self._writing(scope_id, waits=waits) as connection,
            _locate_damage(connection, scope_id),
        ):
            yield connection

    def write_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:
        """Runs a short function in a write transaction, and returns the function's result.

        Concurrent calls in other threads may share the transaction. The writes of the function are on disk when this
        method returns.

        Raises:
            StoreError: If the transaction failed; nothing was written.
            Exception: Any error that the function raised; none of its writes was kept.
        """
        self._check_open()

        def run_mapped(connection: sa.Connection) -> Result:
            with mapped_errors(), _locate_damage(connection, scope_id):
                return work(connection)

        return self._do_grouped(scope_id, run_mapped)

    @property
    @abstractmethod
    def erases_completely(self) -> bool:
        """Whether a successful ``rewrite`` removes every deleted byte from all files of the database."""

    @property
    @abstractmethod
    def rewrites_quickly(self) -> bool:
        """Whether ``rewrite`` is currently fast enough that a caller can wait for it."""

    @abstractmethod
    def rewrite(self, timeout_seconds: float = 5.0) -> bool:
        """Rewrites the database files without deleted data; returns whether this succeeded before the timeout."""

    @abstractmethod
    def truncate_log(self, timeout_seconds: float = 5.0) -> bool:
        """Empties the write-ahead log; returns whether this succeeded before the timeout.

        This is the second step of ``rewrite``. If only this step failed, a caller can repeat it alone.
        """

    @abstractmethod
    def faults(self, connection: sa.Connection, max_lines: int) -> Iterator[str]:
        """Yields the faults in the database files, one line for each.

        Args:
            connection: A connection inside a read transaction.
            max_lines: Approximate maximum number of lines for each kind of fault.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes all connections. Further calls have no effect."""

    @abstractmethod
    def _reading(self, scope_id: str | None) -> AbstractContextManager[sa.Connection]:
        """Opens a read transaction."""

    @abstractmethod
    def _writing(self, scope_id: str | None, *, waits: bool) -> AbstractContextManager[sa.Connection]:
        """Opens a write transaction."""

    @abstractmethod
    def _migrating(self) -> AbstractContextManager[sa.Connection]:
        """Opens the write transaction of a schema migration. Only one process can migrate at a time."""

    @abstractmethod
    def _do_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:
        """Runs the function in a write transaction that other threads may share."""

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a fork of the process that opened the database.

        The connections and locks belong to the parent process and must not be used here.
        """
        return os.getpid() != self._process

    def _check_open(self) -> None:
        if self.is_inherited:
            raise StoreUnavailableError(
                "the store was opened before this process was forked; open the store again in this process"
            )
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
    """Finds the damaged row after an error in the block, and raises an error that names this row.

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
    """Converts errors of SQLAlchemy and of the operating system in the block to ``StoreError`` classes.

    Raises:
        StoreConflictError: If a write violates a constraint.
        ContendedError: If the database aborted the transaction because of a concurrent one.
        StoreUnreadableError: If the file is damaged or is not a database.
        StoreUnavailableError: If the database can't be read or written at present.
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
            "all database connections are in use; try again later or send fewer concurrent requests"
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
        return StoreUnreadableError(f"a stored number is out of range: {reason}; find the row with `memoryos verify`")
    return StoreUnavailableError(f"the database can't be used now: {reason}")
