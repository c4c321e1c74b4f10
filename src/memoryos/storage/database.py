"""Where transactions come from, whatever the database: what is said here is what each of them promises."""

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
from memoryos.storage.damaged_values import find_damaged
from memoryos.storage.schema import DamagedValueError

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
_GIVEN_UP = ("40001", "40P01")


class ContendedError(StoreConflictError):
    """The database gave up one of two transactions that stood in each other's way; it may be tried again."""


class Database(ABC):
    """One open database: ``read()`` and ``write()`` hand out transactions.

    Of the write transactions of one scope one is open at a time, in all threads and processes; so each may first look
    and then write. Between scopes nothing is promised.

    Attributes:
        liveness: Who tells living workers from dead ones; None if that is the scratch_dir.
        scratch_base: Whose neighbour the folder for copies is.
    """

    liveness: Liveness | None = None
    scratch_base: Path

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._process = os.getpid()
        self._is_closed = False
        self._moment = threading.local()

    @property
    def dialect(self) -> str:
        """Name of the kind of database, as SQLAlchemy calls it."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def read(self, scope_id: str | None = None) -> Iterator[sa.Connection]:
        """Yields a connection inside one read transaction: everything read in it is from one moment.

        Args:
            scope_id: Whose rows are read; None for what belongs to no scope, or to all.
        """
        self._check_open()
        held: tuple[str, sa.Connection] | None = getattr(self._moment, "held", None)
        with contextlib.ExitStack() as stack:
            stack.enter_context(mapped_errors())
            is_held = held is not None and held[0] == scope_id
            connection = held[1] if held is not None and is_held else stack.enter_context(self._reading(scope_id))
            stack.enter_context(_damage_named(connection, scope_id))
            yield connection

    @contextlib.contextmanager
    def snapshot(self, scope_id: str) -> Iterator[None]:
        """Has all that this thread reads of a scope inside the block come from one moment, in one transaction.

        It keeps a connection, and erasing waits for it: a block is short.
        """
        before = getattr(self._moment, "held", None)
        with self.read(scope_id) as connection:
            self._moment.held = scope_id, connection
            try:
                yield
            finally:
                self._moment.held = before

    @contextlib.contextmanager
    def write(self, scope_id: str | None = None, *, waits: bool = True) -> Iterator[sa.Connection]:
        """Yields a connection inside one write transaction; durable when the block ends, undone when it raises.

        Args:
            scope_id: Whose rows are written; None for what belongs to no scope.
            waits: Whether to wait until nobody else writes to the scope, so that nobody does. Who doesn't takes care.
        """
        self._check_open()
        with (
            mapped_errors(),
            self._writing(scope_id, waits=waits) as connection,
            _damage_named(connection, scope_id),
        ):
            yield connection

    def write_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:
        """Does short work inside a write transaction that other threads may share; durable when this returns.

        Raises:
            StoreError: If the transaction failed; nothing was written.
            Exception: Whatever the work raised; nothing of it was written.
        """
        self._check_open()

        def mapped(connection: sa.Connection) -> Result:
            with mapped_errors(), _damage_named(connection, scope_id):
                return work(connection)

        return self._do_grouped(scope_id, mapped)

    @property
    @abstractmethod
    def erases_completely(self) -> bool:
        """Whether no deleted byte is left in any file once ``rewrite`` has succeeded."""

    @property
    @abstractmethod
    def rewrites_quickly(self) -> bool:
        """Whether ``rewrite`` is so short now that a request may wait for it."""

    @abstractmethod
    def rewrite(self, timeout_seconds: float = 5.0) -> bool:
        """Takes what was deleted out of the files; returns whether that was possible within the patience."""

    @abstractmethod
    def truncate_log(self, timeout_seconds: float = 5.0) -> bool:
        """Does the second half of ``rewrite`` alone, where the first half succeeded."""

    @abstractmethod
    def faults(self, connection: sa.Connection, most: int) -> Iterator[str]:
        """Yields what is wrong with the files themselves, about ``most`` lines of a kind."""

    @abstractmethod
    def close(self) -> None:
        """Closes every connection. Calling it twice is fine."""

    @abstractmethod
    def _reading(self, scope_id: str | None) -> AbstractContextManager[sa.Connection]:
        """Opens a read transaction."""

    @abstractmethod
    def _writing(self, scope_id: str | None, *, waits: bool) -> AbstractContextManager[sa.Connection]:
        """Opens a write transaction."""

    @abstractmethod
    def _migrating(self) -> AbstractContextManager[sa.Connection]:
        """Opens the write transaction of a migration: of several processes one migrates at a time."""

    @abstractmethod
    def _do_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:
        """Does the work inside a write transaction."""

    @property
    def is_inherited(self) -> bool:
        """Whether a parent process opened it: then its connections and locks are the parent's."""
        return os.getpid() != self._process

    def _check_open(self) -> None:
        if self.is_inherited:
            raise StoreUnavailableError("the store was opened before this process was forked; open it again here")
        if self._is_closed:
            raise StoreUnavailableError("the store is closed")

    def _migrate(self) -> None:
        with self.read() as connection:
            state = migrations.state_of(connection)
        if state is migrations.State.CURRENT:
            return
        if state is migrations.State.UNKNOWN:
            raise SchemaMismatchError(
                "the database was made by a newer release of MemoryOS or by another program; "
                "upgrade memoryos-engine or choose another data_storage_path (nothing was changed)"
            )
        with mapped_errors(), self._migrating() as connection:
            migrations.upgrade(connection)


@contextlib.contextmanager
def _damage_named(connection: sa.Connection, scope_id: str | None) -> Iterator[None]:
    """Turns what a damaged row raises inside the block into an error that names the row.

    Raises:
        StoreUnreadableError: If a row of the scope has a value that its column can't have.
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
    """Turns what the database and the disk raise inside the block into errors of the store.

    Raises:
        StoreConflictError: If a row contradicts another.
        ContendedError: If the database gave the transaction up in favour of another.
        StoreUnreadableError: If the file is damaged or no database.
        StoreUnavailableError: If it can't be read or written now.
    """
    try:
        yield
    except exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) is not None:
            raise _of_server(error.orig) from None  # what it says besides quotes rows
        raise _of_file(error) from error
    except OSError as error:
        raise StoreUnavailableError(f"the database can't be used now: {error}") from error
    except exc.TimeoutError as error:
        raise StoreUnavailableError("no connection to the database became free") from error


def _of_file(error: exc.DBAPIError) -> StoreError:
    reason = str(error.orig).partition(" with text ")[0]  # what follows is content
    if isinstance(error, exc.IntegrityError):
        return StoreConflictError(reason)
    if any(words in reason for words in _UNREADABLE):
        return StoreUnreadableError(f"the database can't be read: {reason} (it was left as it is)")
    return StoreUnavailableError(f"the database can't be used now: {reason}")


def _of_server(error: Any) -> StoreError:
    reason = f"{error.diag.message_primary} ({error.sqlstate})"
    if error.sqlstate.startswith("23"):
        return StoreConflictError(reason)
    if error.sqlstate in _GIVEN_UP:
        return ContendedError(reason)
    if error.sqlstate in _DAMAGED:
        return StoreUnreadableError(f"the database can't be read: {reason} (it was left as it is)")
    if error.sqlstate == _OUT_OF_RANGE:
        return StoreUnreadableError(f"a stored number is out of range: {reason}; `memoryos verify` lists such rows")
    return StoreUnavailableError(f"the database can't be used now: {reason}")
