"""Erasing: taking deleted bytes out of the files. What is due is a row, so that any process can finish it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import sqlalchemy as sa

from memoryos.storage.schema import erasures, forgettings

if TYPE_CHECKING:
    from datetime import datetime

    from memoryos.storage.database import Database

__all__ = ["ErasureTable", "note_erasure"]

_SLICE = 500


def note_erasure(connection: sa.Connection, forgetting_id: str, now: datetime) -> None:
    """Notes that bytes are to be erased, inside the transaction that begins to delete them."""
    connection.execute(sa.insert(erasures).values(erasure_id=forgetting_id, due_since=now))


class ErasureTable:
    """Knows since when an erasure is due, and does it."""

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
        """Whether erasing is so short now that a request may wait for it."""
        return self._database.rewrites_quickly

    def due_since(self) -> datetime | None:
        """Returns since when an erasure is due; None if none is."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.min(erasures.c.due_since))).scalar_one_or_none()

    def erase(self, timeout_seconds: float) -> bool:
        """Erases what is due, in one rewriting of the file for all that asked for it meanwhile.

        Args:
            timeout_seconds: How long to wait for readers in other processes that hold an old state.

        Returns:
            Whether nothing that was deleted before this call is left in the files, as far as the database can tell.
        """
        with self._lock:
            due = self._deleted()
            if not due:
                return True
            is_rewritten = due <= self._rewritten
            is_done = (self._database.truncate_log if is_rewritten else self._database.rewrite)(timeout_seconds)
            self._rewritten = due
            if is_done:
                self._clear(due)
            return is_done

    def _deleted(self) -> frozenset[str]:
        """Returns the erasures whose deletion is complete."""
        in_progress = sa.exists().where(forgettings.c.forgetting_id == erasures.c.erasure_id)
        with self._database.read() as connection:
            return frozenset(connection.execute(sa.select(erasures.c.erasure_id).where(~in_progress)).scalars())

    def _clear(self, due: frozenset[str]) -> None:
        ids = sorted(due)
        with self._database.write() as connection:
            for start in range(0, len(ids), _SLICE):
                part = ids[start : start + _SLICE]
                connection.execute(sa.delete(erasures).where(erasures.c.erasure_id.in_(part)))
