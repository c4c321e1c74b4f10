"""Registry of engines: ``Memoryos`` objects of a process share an engine if their database and settings are equal."""

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
    """The constructor arguments of an engine, without the location of its database."""

    settings: dict[str, Any]
    embedder: Embedder | None
    analyst: Analyst | None
    clock: Callable[[], datetime] | None
    count_tokens: Callable[[str], float] | None

    def equals(self, other: _Parts) -> bool:
        """Returns whether two engines with these arguments would behave equally."""
        is_same = (
            self.embedder is other.embedder
            and self.analyst is other.analyst
            and self.clock == other.clock
            and self.count_tokens == other.count_tokens
        )
        return is_same and self.settings == other.settings


class _Shared:
    """A shared engine, and the objects that use it.

    The references are weak, so that an engine is garbage-collected, and thereby closed, when no object uses it.
    """

    def __init__(self, engine: MemoryEngine, parts: _Parts, file: tuple[int, int] | None) -> None:
        self.engine = weakref.ref(engine)
        self.file = file
        self.users: weakref.WeakSet[object] = weakref.WeakSet()
        self._parts: _Parts | None = parts
        weakref.finalize(engine, self._drop_parts).atexit = False

    def open_engine(self) -> MemoryEngine | None:
        """Returns the engine. Returns None if it was closed or garbage-collected."""
        engine = self.engine()
        return engine if engine is not None and engine.is_open else None

    def fits(self, parts: _Parts, file: tuple[int, int] | None) -> bool:
        """Returns whether the engine was opened with these arguments, and its database file was not replaced since."""
        return self.file == file and self._parts is not None and self._parts.equals(parts)

    def _drop_parts(self) -> None:
        self._parts = None


class _Registry:
    """The shared engines of this process, by the location of their databases."""

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
            engine = MemoryEngine(
                config,
                embedder=parts.embedder,
                analyst=parts.analyst,
                clock=parts.clock,
                count_tokens=parts.count_tokens,
            )
            shared = _Shared(engine, parts, _identity(config))
            shared.users.add(user)
            self._by_place.setdefault(place, []).append(shared)
            return engine

    def leave(self, user: object, engine: MemoryEngine) -> bool:
        """Removes an object from the users of an engine. Returns whether no other object uses the engine."""
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
    count_tokens: Callable[[str], float] | None = None,
) -> MemoryEngine:
    """Returns an open engine that was created with equal arguments, or creates a new engine.

    Args:
        user: The object that will use the engine, until it calls ``leave_engine`` or is garbage-collected.
        config: All settings.
        embedder: Turns texts into vectors; see ``MemoryEngine``. An engine is shared only if this is the same object.
        analyst: Extracts facts and answers questions; see ``MemoryEngine``. It must be the same object too.
        clock: Returns the current time; see ``MemoryEngine``. It must be equal too.
        count_tokens: Counts the tokens of a text; see ``MemoryEngine``. It must be the same object too.

    Raises:
        ConfigError: If a setting is out of range or a required package is not installed.
        StoreError: If the database can't be opened.
    """
    settings = {name: value for name, value in config if name not in _PLACE_FIELDS}
    return _registry.join(user, config, _Parts(settings, embedder, analyst, clock, count_tokens))


def leave_engine(user: object, engine: MemoryEngine) -> None:
    """Removes an object from the users of an engine. Closes the engine if no other object uses it."""
    if engine.is_open and _registry.leave(user, engine):
        engine.close()


def _place(config: Config) -> str:
    if is_server_url(config.database):
        return parse_database_url(config.database).render_as_string(hide_password=False)
    return os.path.realpath(sqlite_file_of(config.database))


def _identity(config: Config) -> tuple[int, int] | None:
    """Returns the device and inode numbers of the SQLite file, or None for a database server or a missing file."""
    if is_server_url(config.database):
        return None
    try:
        found = sqlite_file_of(config.database).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _reset_after_fork() -> None:
    """Empties the registry in a forked child process, because engines and locks of the parent can't be used there."""
    _registry.reset()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_reset_after_fork)
