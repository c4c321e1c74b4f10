"""Erasures: remove the bytes of deleted rows from the database files.

A row in the database records each erasure that is due. So any process can perform it, even after a crash.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.storage.schema import erasures, forgettings

if TYPE_CHECKING:
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["ErasureTable", "note_erasure"]

_BATCH_ROWS = 500


def note_erasure(connection: sa.Connection, forgetting_id: str, now: datetime) -> None:
    """Records that an erasure is due, in the write transaction that starts the deletion."""
    connection.execute(sa.insert(erasures).values(erasure_id=forgetting_id, due_since=now))


class ErasureTable:
    """Reports and performs the erasures that are due."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._rewritten: frozenset[str] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether this kind of database can erase every deleted byte."""
        return self._database.erases_completely

    @property
    def is_quick(self) -> bool:
        """Whether an erasure is currently fast enough that a caller can wait for it."""
        return self._database.rewrites_quickly

    def due_since(self) -> datetime | None:
        """Returns the time since which the oldest erasure is due; None if no erasure is due."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.min(erasures.c.due_since))).scalar_one_or_none()

    def erase(self, timeout_seconds: float) -> bool:
        """Rewrites the database files once to perform all erasures that are due.

        Erasures of deletions that are still in progress are not performed.

        Args:
            timeout_seconds: How long to wait for other processes that read an older snapshot.

        Returns:
            Whether all data deleted before this call was removed from the files, as far as the database can check.
        """
        with self._lock:
            due = self._find_due()
            if not due:
                return True
            is_rewritten = due <= self._rewritten
            is_done = (self._database.truncate_log if is_rewritten else self._database.rewrite)(timeout_seconds)
            self._rewritten = due
            if is_done:
                self._clear(due)
            return is_done

    def _find_due(self) -> frozenset[str]:
        """Returns the ids of the erasures that are due. An erasure is not due while its deletion is in progress."""
        in_progress = sa.exists().where(forgettings.c.forgetting_id == erasures.c.erasure_id)
        with self._database.read() as connection:
            return frozenset(connection.execute(sa.select(erasures.c.erasure_id).where(~in_progress)).scalars())

    def _clear(self, due: frozenset[str]) -> None:
        ids = sorted(due)
        with self._database.write() as connection:
            for start in range(0, len(ids), _BATCH_ROWS):
                batch = ids[start : start + _BATCH_ROWS]
                connection.execute(sa.delete(erasures).where(erasures.c.erasure_id.in_(batch)))
