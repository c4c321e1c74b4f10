"""What stands behind the MCP server: the engine, opened beside the handshake, and what its errors say to a client."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from memoryos.errors import AnalystError, InputError, MemoryOSError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memoryos.engine import MemoryEngine
    from memoryos.memory import Memoryos

__all__ = ["Connection", "explained"]


class Connection:
    """The engine behind the server, opened in the background; what could not be opened is tried again at each call.

    Args:
        open_engine: Opens it. Its settings name the user and the assistant where a call names none.
    """

    def __init__(self, open_engine: Callable[[], MemoryEngine]) -> None:
        self._open_engine = open_engine
        self._engine: MemoryEngine | None = None
        self._lock = threading.Lock()
        self._opening: threading.Thread | None = None

    def open(self) -> None:
        """Begins to open the engine; returns at once."""
        self._opening = threading.Thread(target=self._warm_up, name="memoryos-opening", daemon=True)
        self._opening.start()

    def _warm_up(self) -> None:
        with suppress(MemoryOSError):  # whoever calls a tool is told
            self._opened().embedder.embed(["the first call loads the model"])

    def _opened(self) -> MemoryEngine:
        with self._lock:
            if self._engine is None:
                self._engine = self._open_engine()
            return self._engine

    def memory(self, user_id: str | None, assistant_id: str | None) -> Memoryos:
        """Returns the memory that a call is about.

        Raises:
            MemoryOSError: If the engine can't be opened or an id can't be used.
        """
        engine = self._opened()
        return engine.memory(user_id or engine.config.user_id, assistant_id or engine.config.assistant_id)

    def close(self) -> None:
        """Closes the engine."""
        if self._opening is not None:
            self._opening.join()
        if self._engine is not None:
            self._engine.close()


@contextmanager
def explained(kind: type[Exception]) -> Iterator[None]:
    """Turns errors of the memory into one of the protocol, which says what to do."""
    try:
        yield
    except MemoryOSError as error:
        raise kind(_advice(error)) from error


def _advice(error: MemoryOSError) -> str:
    if isinstance(error, InputError):
        return f"{error}. Call again with another value."
    if isinstance(error, NotFoundError):
        return f"{error}. list_memories and get_user_profile show the ids."
    if isinstance(error, AnalystError):
        return f"{error}. Nothing is lost: retrieve_memory works without the LLM."
    return f"{error}. Run `memoryos doctor` on the machine of the server."
