"""Group commit: writes that threads ask for at the same moment become durable together, with one commit."""

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
    from types import TracebackType

__all__ = ["MAX_WRITES", "GroupCommit"]

MAX_WRITES = 64
"""Writes that share a commit at most."""

Result = TypeVar("Result")


class GroupCommit:
    """Runs short writes, those of several threads in one transaction.

    The first thread that comes leads: it opens the transaction, takes the writes that have queued up by then, commits
    them together and wakes the others; of those that came meanwhile the next leads. Nobody waits for company, so a
    thread alone pays nothing. A write that fails is undone alone; if the commit fails all of them have failed.

    The main thread writes alone: a KeyboardInterrupt is raised in no other, so it never strikes one that others wait
    for.

    Args:
        transaction: Opens a write transaction, which is durable when its block ends.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._transaction = transaction
        self._lock = threading.Lock()
        self._waiting: deque[_Write[Any]] = deque()
        self._leader: _Write[Any] | None = None

    def run(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Does the work inside a transaction and returns its result when that is durable.

        Args:
            work: Short, and free of side effects but those on its connection.

        Raises:
            StoreError: If the transaction failed; nothing was written then.
            Exception: Whatever the work raised; nothing of it was written then.
        """
        if threading.current_thread() is threading.main_thread():
            with self._transaction() as connection:
                return work(connection)
        write = _Write(work)
        try:
            self._join(write)
            write.turn.acquire()
            if not write.is_settled:
                self._lead(write)
        finally:
            self._leave(write)
        return write.outcome()

    def _join(self, write: _Write[Any]) -> None:
        with self._lock:
            self._waiting.append(write)
            if self._leader is None:
                self._pass_on()

    def _lead(self, write: _Write[Any]) -> None:
        with _Group() as group:
            self._fill(group)
            with self._transaction() as connection:
                self._fill(group)
                if group.writes == [write]:
                    write.result = write.work(connection)
                else:
                    group.perform(connection)

    def _fill(self, group: _Group) -> None:
        with self._lock:
            while self._waiting and len(group.writes) < MAX_WRITES:
                group.writes.append(self._waiting.popleft())

    def _leave(self, write: _Write[Any]) -> None:
        with self._lock:
            if write in self._waiting:
                self._waiting.remove(write)
            if self._leader is write:
                self._pass_on()

    def _pass_on(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader is not None:
            self._leader.turn.release()


class _Write(Generic[Result]):
    """One write, and how it ended. As a context it takes down what is raised in it."""

    __slots__ = ("error", "is_settled", "result", "turn", "work")

    def __init__(self, work: Callable[[sa.Connection], Result]) -> None:
        self.work = work
        self.turn = threading.Lock()
        self.turn.acquire()
        self.is_settled = False
        self.result: Result | None = None
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return isinstance(error, Exception)

    def outcome(self) -> Result:
        """Returns the result, or raises what was raised instead."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


class _Group:
    """The writes of one transaction. At its end each of them is told how it ended."""

    def __init__(self) -> None:
        self.writes: list[_Write[Any]] = []

    def __enter__(self) -> _Group:  # noqa: PYI034
        return self

    def perform(self, connection: sa.Connection) -> None:
        """Does the writes one after the other, each behind a savepoint of its own."""
        for write in self.writes:
            connection.exec_driver_sql("SAVEPOINT one_write")
            with write:
                write.result = write.work(connection)
            if write.error is not None:
                _undo(connection, write.error)
            connection.exec_driver_sql("RELEASE SAVEPOINT one_write")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for write in self.writes:
            if error is not None and write.error is None:
                write.error = _copy(error)
            write.is_settled = True
            write.turn.release()


def _undo(connection: sa.Connection, error: BaseException) -> None:
    """Goes back to the savepoint; if the database gave up the whole transaction, all its writes have that error."""
    try:
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT one_write")
    except exc.DBAPIError:
        raise _copy(error) from error


def _copy(error: BaseException) -> StoreError:
    """Returns an error to be raised in another thread: an object has one traceback."""
    kind = type(error) if isinstance(error, StoreError) else StoreUnavailableError
    copy = kind(str(error) or f"the transaction was given up: {type(error).__name__}")
    copy.__cause__ = error
    return copy
