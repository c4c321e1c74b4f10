"""Shares one engine among the ``Memoryos`` objects of a process with the same store and equal settings."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memoryos.engine import MemoryEngine
from memoryos.storage.database_urls import is_server_url, parse_database_url, sqlite_file_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from memoryos.config import Config
    from memoryos.seams import Analyst, Embedder

__all__ = ["join_engine", "leave_engine"]

_PLACE_FIELDS = frozenset({"data_storage_path", "database_url"})


@dataclass(frozen=True, slots=True)
class _Parts:
    """The settings and objects from which an engine is built."""

    settings: dict[str, Any]
    embedder: Embedder | None
    analyst: Analyst | None
    clock: Callable[[], datetime] | None

    def equals(self, other: _Parts) -> bool:
        """Returns whether engines built from these and from the other parts behave alike."""
        is_same = self.embedder is other.embedder and self.analyst is other.analyst and self.clock == other.clock
        return is_same and self.settings == other.settings


class _Shared:
    """An engine and its users, both weakly referenced, so that garbage collection can close the engine."""

    def __init__(self, engine: MemoryEngine, parts: _Parts, file: tuple[int, int] | None) -> None:
        self.engine = weakref.ref(engine)
        self.file = file
        self.users: weakref.WeakSet[object] = weakref.WeakSet()
        self._parts: _Parts | None = parts
        weakref.finalize(engine, self._drop_parts).atexit = False

    def open_engine(self) -> MemoryEngine | None:
        """Returns the engine; None if it was closed or garbage collected."""
        engine = self.engine()
        return engine if engine is not None and engine.is_open else None

    def fits(self, parts: _Parts, file: tuple[int, int] | None) -> bool:
        """Returns whether the engine has equal parts and its database file has not been replaced."""
        return self.file == file and self._parts is not None and self._parts.equals(parts)

    def _drop_parts(self) -> None:
        self._parts = None


class _Registry:
    """The shared engines of this process, by the location of their store."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._lock = threading.RLock()
        self._by_place: dict[str, list[_Shared]] = {}

    def join(self, user: object, config: Config, parts: _Parts) -> MemoryEngine:
        place = _place(config)
        with self._lock:
            for shared in self._open(place):
                engine = shared.open_engine()
                if engine is not None and shared.fits(parts, _identity(config)):
                    shared.users.add(user)
                    return engine
            engine = MemoryEngine(config, embedder=parts.embedder, analyst=parts.analyst, clock=parts.clock)
            shared = _Shared(engine, parts, _identity(config))
            shared.users.add(user)
            self._by_place.setdefault(place, []).append(shared)
            return engine

    def leave(self, user: object, engine: MemoryEngine) -> bool:
        """Removes a user of an engine; returns whether it was the last one."""
        place = _place(engine.config)
        with self._lock:
            for shared in self._open(place):
                if shared.engine() is engine:
                    shared.users.discard(user)
                    if shared.users:
                        return False
                    self._by_place[place].remove(shared)
        return True

    def _open(self, place: str) -> list[_Shared]:
        kept = [each for each in self._by_place.get(place, ()) if each.open_engine() is not None]
        if kept:
            self._by_place[place] = kept
        else:
            self._by_place.pop(place, None)
        return list(kept)


_registry = _Registry()


def join_engine(
    user: object,
    config: Config,
    *,
    embedder: Embedder | None = None,
    analyst: Analyst | None = None,
    clock: Callable[[], datetime] | None = None,
) -> MemoryEngine:
    """Returns the open engine of this store with equal settings and the same objects; builds one if none exists.

    Args:
        user: The object that uses the engine until ``leave_engine`` or its garbage collection.
        config: All settings.
        embedder: As for ``MemoryEngine``; the engine is shared only among users with the same object.
        analyst: As for ``MemoryEngine``; compared in the same way.
        clock: As for ``MemoryEngine``; compared in the same way.

    Raises:
        ConfigError: If a setting can't be fulfilled.
        StoreError: If the database can't be opened.
    """
    settings = {name: value for name, value in config if name not in _PLACE_FIELDS}
    return _registry.join(user, config, _Parts(settings, embedder, analyst, clock))


def leave_engine(user: object, engine: MemoryEngine) -> None:
    """Ends the use of an engine by a user; closes the engine after its last user."""
    if engine.is_open and _registry.leave(user, engine):
        engine.close()


def _place(config: Config) -> str:
    if is_server_url(config.database):
        return parse_database_url(config.database).render_as_string(hide_password=False)
    return os.path.realpath(sqlite_file_of(config.database))


def _identity(config: Config) -> tuple[int, int] | None:
    """Returns device and inode number of the database file; None for a database server or a missing file."""
    if is_server_url(config.database):
        return None
    try:
        found = sqlite_file_of(config.database).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _forget_parent() -> None:
    """Empties the registry in a forked child, whose engines and locks belong to the parent."""
    _registry.reset()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_parent)
