"""The SQLite database: one file; a file lock allows only one write transaction at a time."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from memoryos.errors import StoreError, StoreUnavailableError
from memoryos.private_files import create_missing_file, make_folder
from memoryos.storage.database import Database, mapped_errors
from memoryos.storage.file_lock import FileLock
from memoryos.storage.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SQLiteDatabase"]

REWRITE_POLL_SECONDS = 0.02
FORK_TIMEOUT_SECONDS = 10.0
"""Maximum time that a fork waits until another thread's write transaction ends."""
_PRAGMAS = (
    "PRAGMA busy_timeout=60000",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
)
_REWRITE_PRAGMAS = ("PRAGMA synchronous=NORMAL", "PRAGMA wal_autocheckpoint=0", "PRAGMA cache_size=-65536")
_IN_MEMORY_PRAGMAS = ("PRAGMA temp_store=MEMORY",)
MAX_QUICK_REWRITE_BYTES = 16 * 2**20
MAX_IN_MEMORY_BYTES = 256 * 2**20
"""Maximum size of a database file whose rewrite is buffered in memory.

The rewrite of a larger file is buffered in the temporary directory.
"""
Result = TypeVar("Result")


_open_databases: weakref.WeakSet[SQLiteDatabase] = weakref.WeakSet()


class SQLiteDatabase(Database):
    """A database in one SQLite file.

    SQLite up to 3.51.2 has a bug: a checkpoint during another connection's commit can corrupt the file
    (sqlite.org/wal.html#walresetbug). To prevent this, a file lock is held during each write transaction, during each
    checkpoint, and while connections that may checkpoint are opened or closed.

    A write transaction starts with BEGIN IMMEDIATE. A transaction that starts as a read and writes later would fail at
    once if another transaction is writing.

    Args:
        url: ``sqlite:///`` followed by the path of the file. A missing file is created.

    Raises:
        StoreUnavailableError: If the file can't be opened or written.
        StoreUnreadableError: If the file is damaged or is not a database. The file is not changed.
        SchemaMismatchError: If a newer release or another program created the file. The file is not changed.
    """

    def __init__(self, url: sa.URL) -> None:
        self.scratch_base = Path(str(url.database))
        super().__init__(_engine(url, self.scratch_base))
        self._thread_lock = threading.RLock()
        with mapped_errors():
            self._file_lock = FileLock(Path(f"{self.scratch_base}.lock"))
        self._writer: sa.Connection | None = None
        self._is_writing = False
        self._group_commit = GroupCommit(self.write)
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._migrate()
            _open_databases.add(self)
            undo.pop_all()

    @contextlib.contextmanager
    def _reading(self, scope_id: str | None) -> Iterator[sa.Connection]:  # noqa: ARG002
        with self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self, scope_id: str | None = None, *, waits: bool = True) -> Iterator[sa.Connection]:  # noqa: ARG002
        with self._exclusive(), contextlib.ExitStack() as undo:
            self._check_open()
            undo.callback(self._drop_writer)
            connection = self._writing_connection()
            undo.callback(self._end_writing)
            self._is_writing = True
            with connection.begin():
                yield connection
            undo.pop_all()
            self._end_writing()

    _migrating = _writing

    def _end_writing(self) -> None:
        self._is_writing = False

    def _do_grouped(self, scope_id: str, work: Callable[[sa.Connection], Result]) -> Result:  # noqa: ARG002
        return self._group_commit.run(work)

    @property
    def erases_completely(self) -> bool:
        """True: all data is in the file and in its write-ahead log, and ``rewrite`` rewrites both."""
        return True

    @property
    def rewrites_quickly(self) -> bool:
        """Whether the file has at most 16 MiB. Rewriting such a file takes less than 0.1 s."""
        try:
            return self.scratch_base.stat().st_size <= MAX_QUICK_REWRITE_BYTES
        except OSError:
            return False

    def rewrite(self, timeout_seconds: float = 5.0) -> bool:
        """Rewrites the file without unused bytes (VACUUM), then empties the write-ahead log.

        With the setting ``secure_delete``, SQLite overwrites deleted rows with zeros. This does not erase everything:
        SQLite leaves copies of rows that it moved within the file. A search of the file's bytes found such copies.

        Step 1 copies the database to the log, and step 2 copies the log to the file. Writers wait during both steps.
        Only step 2 flushes to disk. A power failure can undo the rewrite, but then the erasure is still due and is
        repeated.

        Returns:
            Whether both steps succeeded. Another process that reads an older snapshot prevents step 2.
        """
        with mapped_errors(), self._exclusive():
            self._check_open()
            connection = self._writing_connection()
            connection.rollback()
            cursor = connection.connection.cursor()
            try:
                (size,) = cursor.execute(
                    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
                ).fetchone()
                for pragma in (*_REWRITE_PRAGMAS, *(_IN_MEMORY_PRAGMAS if size <= MAX_IN_MEMORY_BYTES else ())):
                    cursor.execute(pragma)
                cursor.execute("VACUUM")
            finally:
                cursor.close()
                self._drop_writer()
        time.sleep(REWRITE_POLL_SECONDS)
        return self.truncate_log(timeout_seconds)

    def truncate_log(self, timeout_seconds: float = 5.0) -> bool:
        """Copies the write-ahead log to the file and truncates the log to zero bytes.

        Returns:
            Whether this succeeded before the timeout. Another process that reads an older snapshot prevents it.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            with mapped_errors(), self._exclusive():
                self._check_open()
                connection = self._writing_connection()
                connection.rollback()
                cursor = connection.connection.cursor()
                busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.close()
            if not busy or time.monotonic() > deadline:
                return not busy
            time.sleep(REWRITE_POLL_SECONDS)

    def faults(self, connection: sa.Connection, max_lines: int) -> Iterator[str]:
        """Yields the findings of SQLite's own integrity and foreign key checks."""
        found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA integrity_check({max_lines})")]
        yield from (f"file: {line}" for line in found if line != "ok")
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        for row in orphans[:max_lines]:
            yield f"file: row {row[1]} of table {row[0]} refers to a missing row of table {row[2]}"
        if len(orphans) > max_lines:
            yield f"file: {len(orphans) - max_lines} more rows refer to missing rows"

    def prepare_fork(self) -> bool:
        """Prepares a fork: waits for a running write transaction and closes idle connections.

        A child process must not inherit transactions or connections. Rolling back a transaction in the child would
        damage the shared index of the write-ahead log, and SQLite would treat the parent's file locks as locks of the
        child.

        Returns:
            Whether writes are now blocked, so that the caller must call ``end_fork``.
        """
        if self.is_inherited or not self._thread_lock.acquire(timeout=FORK_TIMEOUT_SECONDS):
            return False
        if self._is_closed or self._is_writing:
            return True
        with contextlib.suppress(StoreError), mapped_errors(), self._exclusive():
            self._drop_writer()
            self._engine.dispose()
        return True

    def end_fork(self) -> None:
        """Allows writes again after a fork."""
        self._thread_lock.release()

    def close(self) -> None:
        """Closes all connections.

        When the last connection of all processes closes, SQLite copies the write-ahead log to the file. In a forked
        child this method has no effect, because the connections belong to the parent.
        """
        if self.is_inherited:
            return
        with contextlib.suppress(StoreError), mapped_errors(), self._exclusive():
            self._drop_writer()
            self._engine.dispose()
            self._is_closed = True
            self._file_lock.close()

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._thread_lock:
            self._check_open()
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
        """Closes the write connection. This rolls back a transaction that an error or interrupt left open."""
        if self._writer is not None:
            if not self._writer.closed:
                self._writer.invalidate()
            self._writer.close()
            self._writer = None


def _prepare_fork() -> None:
    _forking.databases = [each for each in list(_open_databases) if each.prepare_fork()]


def _end_fork() -> None:
    for each in _forking.databases:
        each.end_fork()
    _forking.databases = []


class _Forking(threading.local):
    """The databases that this thread has prepared for the fork in progress."""

    def __init__(self) -> None:
        self.databases: list[SQLiteDatabase] = []


_forking = _Forking()
if sys.platform != "win32":
    os.register_at_fork(before=_prepare_fork, after_in_parent=_end_fork, after_in_child=_end_fork)


def _engine(url: sa.URL, file: Path) -> sa.Engine:
    """Creates the database file if it is missing, and returns the SQLAlchemy engine for it.

    The file is created first because SQLite gives its log files the access mode of the database file.
    """
    try:
        make_folder(file.parent)
    except OSError as error:
        raise StoreUnavailableError(f"can't create the directory {file.parent}: {error.strerror}") from error
    try:
        create_missing_file(file)
    except OSError as error:
        raise StoreUnavailableError(f"can't create the database {file}: {error.strerror}") from error
    engine = sa.create_engine(url, pool_size=8, max_overflow=32, pool_reset_on_return="rollback", hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "invalidate", _roll_back)
    return engine


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


def _roll_back(connection: Any, record: object, error: object) -> None:  # noqa: ARG001
    """Executes ROLLBACK when a connection returns to the pool.

    Without ROLLBACK, the transaction would stay open as long as a cursor of the connection exists.
    """
    connection.rollback()
