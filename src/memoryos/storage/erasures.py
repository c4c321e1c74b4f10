"""Erasures: remove deleted bytes from the database files. A due erasure is a row, so any process can complete it."""

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
    """Records a due erasure, inside the transaction that starts the deletion."""
    connection.execute(sa.insert(erasures).values(erasure_id=forgetting_id, due_since=now))


class ErasureTable:
    """Reports and performs due erasures."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._rewritten: frozenset[str] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether this database can erase every deleted byte."""
        return self._database.erases_completely

    @property
    def is_quick(self) -> bool:
        """Whether an erasure is currently fast enough to run inside a request."""
        return self._database.rewrites_quickly

    def due_since(self) -> datetime | None:
        """Returns the time since which an erasure is due; None if none is due."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.min(erasures.c.due_since))).scalar_one_or_none()

    def erase(self, timeout_seconds: float) -> bool:
        """Performs all due erasures of complete deletions with one rewrite of the file.

        Args:
            timeout_seconds: How long to wait for readers in other processes that use an older snapshot.

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
        """Returns the ids of the due erasures, except those that belong to a deletion still in progress."""
        in_progress = sa.exists().where(forgettings.c.forgetting_id == erasures.c.erasure_id)
        with self._database.read() as connection:
            return frozenset(connection.execute(sa.select(erasures.c.erasure_id).where(~in_progress)).scalars())

    def _clear(self, due: frozenset[str]) -> None:
        ids = sorted(due)
        with self._database.write() as connection:
            for start in range(0, len(ids), _BATCH_ROWS):
                batch = ids[start : start + _BATCH_ROWS]
                connection.execute(sa.delete(erasures).where(erasures.c.erasure_id.in_(batch)))
