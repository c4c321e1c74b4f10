"""Group commit: threads that write at the same time share one transaction and one flush to disk."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from memoryos.errors import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["MAX_WRITES", "GroupCommit"]

MAX_WRITES = 64
"""Maximum number of writes in one transaction."""
_SAVEPOINT = "one_write"

Result = TypeVar("Result")


class GroupCommit:
    """Runs short writes of several threads in one transaction. One of these threads, the leader, commits it.

    1. A thread appends its write to the queue. If there is no leader, the thread of the oldest write in the queue
       becomes the leader.
    2. The leader opens the transaction, takes up to ``MAX_WRITES`` writes from the queue, runs them and commits.
    3. The leader stores the result of each write, wakes the waiting threads and elects the next leader.

    The leader never waits for more writes, so a single thread has no extra latency. Each write has a savepoint: if a
    write fails, only this write is rolled back. If the commit fails, all writes of the group fail.

    The main thread never joins a group. Python raises KeyboardInterrupt only in the main thread, so an interrupt can't
    abort the writes of other threads. A dedicated writer thread would need no election, but each write would wait for
    two thread switches: with 64 threads, that was 40 % slower.

    Args:
        transaction: Opens a write transaction that is on disk when its block ends.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._transaction = transaction
        self._lock = threading.Lock()
        self._queue: deque[_Write[Any]] = deque()
        self._leader: _Write[Any] | None = None

    def run(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Runs a write in a transaction, and returns its result when the write is on disk.

        Args:
            work: A short function without side effects other than writes on its connection.

        Raises:
            StoreError: If the transaction failed; nothing was written.
            Exception: Any error that ``work`` raised; none of its writes was kept.
        """
        if threading.current_thread() is threading.main_thread():
            return self._run_alone(work)
        write = _Write(work)
        try:
            self._enqueue(write)
            write.wait_until_led_or_done()
            if not write.is_done:
                self._lead(write)
        finally:
            self._leave(write)
        return write.outcome()

    def _run_alone(self, work: Callable[[sa.Connection], Result]) -> Result:
        with self._transaction() as connection:
            return work(connection)

    def _enqueue(self, write: _Write[Any]) -> None:
        with self._lock:
            self._queue.append(write)
            if self._leader is None:
                self._elect_leader()

    def _lead(self, own_write: _Write[Any]) -> None:
        """Runs and commits a group of writes.

        Every write of the group is marked as done at the end, even if an error was raised.
        """
        group: list[_Write[Any]] = []
        error: BaseException | None = None
        try:
            self._take_writes(group)
            with self._transaction() as connection:
                self._take_writes(group)  # includes the writes that arrived while the transaction was opened
                _run_group(connection, group, own_write)
        except BaseException as raised:
            error = raised
            raise
        finally:
            for write in group:
                write.finish(error)

    def _take_writes(self, group: list[_Write[Any]]) -> None:
        with self._lock:
            while self._queue and len(group) < MAX_WRITES:
                group.append(self._queue.popleft())

    def _leave(self, write: _Write[Any]) -> None:
        """Removes a write from the queue, because an exception interrupted the thread that waits for it.

        If this thread was the leader, elects the next leader.
        """
        with self._lock:
            if write in self._queue:
                self._queue.remove(write)
            if self._leader is write:
                self._elect_leader()

    def _elect_leader(self) -> None:
        self._leader = self._queue[0] if self._queue else None
        if self._leader is not None:
            self._leader.wake()


class _Write(Generic[Result]):
    """A queued write and its result or error."""

    __slots__ = ("_is_waiting", "error", "is_done", "result", "work")

    def __init__(self, work: Callable[[sa.Connection], Result]) -> None:
        self.work = work
        self.is_done = False
        self.result: Result | None = None
        self.error: BaseException | None = None
        self._is_waiting = threading.Lock()
        self._is_waiting.acquire()

    def wait_until_led_or_done(self) -> None:
        """Waits until this write is elected leader (it then commits a group), or until a leader has finished it."""
        self._is_waiting.acquire()

    def wake(self) -> None:
        """Wakes the thread that waits for this write."""
        self._is_waiting.release()

    def finish(self, error: BaseException | None) -> None:
        """Marks the write as done and wakes the waiting thread.

        Args:
            error: The error that ended the whole transaction; None if the transaction was committed.
        """
        if error is not None and self.error is None:
            self.error = _copy_error(error)
        self.is_done = True
        self.wake()

    def outcome(self) -> Result:
        """Returns the result of the write, or raises its error."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


def _run_group(connection: sa.Connection, group: list[_Write[Any]], own_write: _Write[Any]) -> None:
    """Runs the writes of a group in order, each in its own savepoint.

    A single write needs no savepoint, because its error ends the whole transaction.
    """
    if group == [own_write]:
        own_write.result = own_write.work(connection)
        return
    for write in group:
        _run_in_savepoint(connection, write)


def _run_in_savepoint(connection: sa.Connection, write: _Write[Any]) -> None:
    connection.exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
    try:
        write.result = write.work(connection)
    except Exception as error:  # noqa: BLE001  (raised again in the thread of the write)
        write.error = error
        _roll_back_to_savepoint(connection, error)
    connection.exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")


def _roll_back_to_savepoint(connection: sa.Connection, error: Exception) -> None:
    """Undoes one write of a group.

    If the database has already rolled back the whole transaction, all writes of the group fail with the error.
    """
    try:
        connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
    except exc.DBAPIError:
        raise _copy_error(error) from error


def _copy_error(error: BaseException) -> StoreError:
    """Returns a copy of an error for another thread; an error object can have only one traceback."""
    kind = type(error) if isinstance(error, StoreError) else StoreUnavailableError
    copy = kind(str(error) or f"the transaction was rolled back: {type(error).__name__}")
    copy.__cause__ = error
    return copy
