"""Where transactions come from: connections, the write lock, migrations at opening, and the mapping of errors."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from memoryos.errors import (
    SchemaMismatchError,
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
    StoreUnreadableError,
)
from memoryos.storage.file_lock import FileLock
from memoryos.storage.grouping import Grouping
from memoryos.storage.places import file_of, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Database", "mapped_errors"]

REWRITE_POLL_SECONDS = 0.02
_PRAGMAS = (
    "PRAGMA busy_timeout=60000",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
)
Result = TypeVar("Result")
_UNREADABLE = ("malformed", "not a database", "encrypted")


class Database:
    """One open database: ``read()`` and ``write()`` hand out transactions.

    Every SQLite up to 3.51.2 can corrupt a file when one connection checkpoints while another commits
    (sqlite.org/wal.html#walresetbug). So one advisory file lock is held around each write transaction, each implied
    checkpoint, and the opening and closing of connections that may checkpoint. A write starts with BEGIN IMMEDIATE:
    a transaction that upgrades later would fail at once when another writes.

    Raises:
        ConfigError: If the URL is of a kind that is not supported.
        StoreUnavailableError: If the file can't be opened or written.
        StoreUnreadableError: If the file is damaged or no database. It is left as it is.
        SchemaMismatchError: If a newer release or another program made it. It is left as it is.
    """

    def __init__(self, place: str | Path) -> None:
        self._engine, file = _engine(place)
        self._is_closed = False
        self._thread_lock = threading.RLock()
        with mapped_errors():
            self._file_lock = FileLock(Path(f"{file}.lock"))
        self._writer: sa.Connection | None = None
        self._grouping = Grouping(self.write)
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._migrate()
            undo.pop_all()

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yields a connection inside one read transaction: everything read in it is from one moment."""
        self._check_open()
        with mapped_errors(), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yields a connection inside one write transaction; durable when the block ends, undone when it raises."""
        with mapped_errors(), self._exclusive(), contextlib.ExitStack() as undo:
            self._check_open()
            undo.callback(self._drop_writer)
            connection = self._writing_connection()
            with connection.begin():
                yield connection
            undo.pop_all()

    def write_grouped(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Does short work inside a write transaction that other threads may share; durable when this returns.

        Raises:
            StoreError: If the transaction failed; nothing was written.
            Exception: Whatever the work raised; nothing of it was written.
        """

        def mapped(connection: sa.Connection) -> Result:
            with mapped_errors():
                return work(connection)

        return self._grouping.run(mapped)

    def rewrite(self, patience_seconds: float = 5.0) -> bool:
        """Writes the file anew without a byte that is no longer in use, and cuts the write-ahead log to nothing.

        ``secure_delete`` alone is not enough: where SQLite moves rows between pages it leaves copies behind, which we
        found by searching the bytes. The file is locked for writers as long as it takes to copy it.

        Returns:
            Whether nothing old is left: another process that reads an old state holds that up.
        """
        deadline = time.monotonic() + patience_seconds
        with mapped_errors(), self._exclusive():
            self._check_open()
            connection = self._writing_connection()
            connection.rollback()
            connection.connection.cursor().execute("VACUUM")
        while True:
            with mapped_errors(), self._exclusive():
                self._check_open()
                connection = self._writing_connection()
                connection.rollback()
                busy, *_ = connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy or time.monotonic() > deadline:
                return not busy
            time.sleep(REWRITE_POLL_SECONDS)

    def close(self) -> None:
        """Closes every connection; the last one of all processes folds the write-ahead log into the file."""
        with contextlib.suppress(StoreError), mapped_errors(), self._exclusive():
            self._drop_writer()
            self._engine.dispose()
            self._is_closed = True
            self._file_lock.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailableError("the store is closed")

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._thread_lock:
            self._check_open()
            self._file_lock.check()
            try:
                self._file_lock.acquire()
                yield
            finally:
                self._file_lock.release()

    def _writing_connection(self) -> sa.Connection:
        if self._writer is None or self._writer.closed or self._writer.invalidated:
            self._writer = self._engine.connect().execution_options(memoryos_begin="BEGIN IMMEDIATE")
        return self._writer

    def _drop_writer(self) -> None:
        """Closes the writing connection; whatever a failure or an interrupt left open on it is undone."""
        if self._writer is not None:
            if not self._writer.closed:
                self._writer.invalidate()
            self._writer.close()
            self._writer = None

    def _migrate(self) -> None:
        from memoryos.storage import migrations  # noqa: PLC0415  (imports Alembic only where a schema must be made)

        with mapped_errors(), self._exclusive(), self._engine.connect() as connection:
            state = migrations.state_of(connection)
        if state is migrations.State.CURRENT:
            return
        if state is migrations.State.UNKNOWN:
            raise SchemaMismatchError(
                "the database was made by a newer release of MemoryOS or by another program; "
                "upgrade memoryos-engine or choose another data_storage_path (nothing was changed)"
            )
        with self.write() as connection:
            migrations.upgrade(connection)


def _engine(place: str | Path) -> tuple[sa.Engine, Path]:
    file = file_of(place)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"can't make the folder {file.parent}: {error.strerror}") from error
    engine = sa.create_engine(
        url_of(place), pool_size=8, max_overflow=32, pool_reset_on_return="rollback", hide_parameters=True
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "invalidate", _undo)
    return engine, file


def _prepare(connection: Any, record: object) -> None:  # noqa: ARG001
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
    finally:
        cursor.close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("memoryos_begin", "BEGIN"))


def _undo(connection: Any, record: object, error: object) -> None:  # noqa: ARG001
    """Ends the transaction of a connection that is closed now; else it goes on until its last cursor is gone."""
    connection.rollback()


@contextlib.contextmanager
def mapped_errors() -> Iterator[None]:
    """Turns what the database and the disk raise inside the block into errors of the store.

    Raises:
        StoreConflictError: If a row contradicts another.
        StoreUnreadableError: If the file is damaged or no database.
        StoreUnavailableError: If it can't be read or written now.
    """
    try:
        yield
    except exc.IntegrityError as error:
        raise StoreConflictError(str(error.orig)) from error
    except exc.DBAPIError as error:
        reason = str(error.orig)
        if any(words in reason for words in _UNREADABLE):
            raise StoreUnreadableError(f"the database can't be read: {reason} (it was left as it is)") from error
        raise StoreUnavailableError(f"the database can't be used now: {reason}") from error
    except OSError as error:
        raise StoreUnavailableError(f"the database can't be used now: {error}") from error
    except exc.TimeoutError as error:
        raise StoreUnavailableError("no connection to the database became free") from error
