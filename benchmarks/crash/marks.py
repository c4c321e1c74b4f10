"""Records the current step of a writer, so that a report can name the steps that kills interrupted."""

from __future__ import annotations

import contextlib
import functools
import mmap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from memoryos.storage.database import Database
from memoryos.storage.forgetting_table import ForgettingTable
from memoryos.storage.mid_term_table import MidTermTable
from memoryos.storage.scopes import Scopes
from memoryos.storage.sqlite import SQLiteDatabase
from memoryos.storage.store import Store
from memoryos.updating.embedding import EmbeddingStep
from memoryos.updating.profiling import Profiler
from memoryos.updating.reading import Reader
from memoryos.updating.rebuilding import Rebuilder
from memoryos.updating.redoing import Redoer

__all__ = ["Marks", "read_marks"]

FOREGROUND, WORKER = 0, 1
_MARK_BYTES = 64
_PLACES = (
    (Database, "_migrate", "opening"),
    (Scopes, "claim", "lease"),
    (Scopes, "release", "lease"),
    (MidTermTable, "visit", "visits"),
    (MidTermTable, "archive", "archive"),
    (EmbeddingStep, "take", "embed"),
    (Reader, "read", "read"),
    (Profiler, "profile", "profile"),
    (Redoer, "take", "redo"),
    (Rebuilder, "rebuild", "rebuild"),
    (Store, "replace_tiers", "replace"),
    (ForgettingTable, "forget", "forget"),
    (SQLiteDatabase, "rewrite", "erase"),
)


class Marks:
    """Records the current step of both threads in a memory-mapped file, which survives a kill."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(b" " * (2 * _MARK_BYTES))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), 2 * _MARK_BYTES)
        self._places: tuple[list[str], list[str]] = ([], [])

    @contextlib.contextmanager
    def doing(self, place: str) -> Iterator[None]:
        """Records that this thread executes a step, until the ``with`` block ends."""
        row = FOREGROUND if threading.current_thread() is threading.main_thread() else WORKER
        self._places[row].append(place)
        self._write(row)
        try:
            yield
        finally:
            self._places[row].pop()
            self._write(row)

    def watch(self) -> None:
        """Wraps methods of the engine to record their calls."""
        for owner, name, place in (*_PLACES, (DefaultDialect, "do_commit", "commit")):
            setattr(owner, name, self._marked(getattr(owner, name), place))

    def _marked(self, call: Callable[..., Any], place: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def marked(*arguments: Any, **named: Any) -> Any:
            with self.doing(place):
                return call(*arguments, **named)

        return marked

    def _write(self, row: int) -> None:
        text = "/".join(self._places[row]).encode()[:_MARK_BYTES].ljust(_MARK_BYTES)
        self._map[row * _MARK_BYTES : (row + 1) * _MARK_BYTES] = text


def read_marks(file: Path) -> tuple[str, str]:
    """Returns the last steps of the two threads of a killed writer. The step of an idle thread is ""."""
    content = file.read_bytes() if file.exists() else b""
    return content[:_MARK_BYTES].decode().strip(), content[_MARK_BYTES:].decode().strip()
