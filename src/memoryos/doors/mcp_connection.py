"""Opens the memory engine of an MCP server in the background, and converts its errors to MCP errors."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from memoryos.errors import AnalystError, InputError, MemoryOSError, NotFoundError, QuotaExceededError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from memoryos.config import Config
    from memoryos.engine import MemoryEngine
    from memoryos.memory import Memory
    from memoryos.models.mcp_sampling import ClientModel

__all__ = ["Connection", "explained"]


class Connection:
    """Provides an MCP server with memories from an engine, which it opens in the background.

    If opening fails, each call tries again. The user can therefore correct the settings without a restart.

    Args:
        open_engine: Opens the engine. The engine's settings contain the default user and the default assistant.
        client_model: The LLM of the MCP client, which the engine may use. None over HTTP, because a server then has
            several clients.
    """

    def __init__(self, open_engine: Callable[[], MemoryEngine], client_model: ClientModel | None = None) -> None:
        self._open_engine = open_engine
        self._client_model = client_model
        self._engine: MemoryEngine | None = None
        self._lock = threading.Lock()
        self._opening: threading.Thread | None = None

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Starts to open the engine when the block begins, and closes the engine when the block ends."""
        self._opening = threading.Thread(target=self._warm_up, name="memoryos-opening", daemon=True)
        self._opening.start()
        try:
            async with self._client_model.serving() if self._client_model else nullcontext():
                yield
        finally:
            self._close()

    async def session_middleware(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Stores the client's session at each request, so that the engine can use the client's LLM.

        Messages of the handshake are skipped.
        """
        is_request = ctx.method != "initialize" and not ctx.method.startswith("notifications/")
        if self._client_model is not None and is_request:
            self._client_model.meet(ctx.session)
        return await call_next(ctx)

    def _warm_up(self) -> None:
        with suppress(MemoryOSError):  # the next tool call raises the error again and reports it
            self._opened().embedder.embed(["the first call loads the model"])

    def _opened(self) -> MemoryEngine:
        with self._lock:
            if self._engine is None:
                self._engine = self._open_engine()
            return self._engine

    def memory(self, user_id: str | None, assistant_id: str | None) -> Memory:
        """Returns the memory of a user and an assistant.

        Args:
            user_id: The user; default: the user in the settings.
            assistant_id: The assistant; default: the assistant in the settings.

        Raises:
            MemoryOSError: If the engine can't be opened or an id is invalid.
        """
        engine = self._opened()
        user_id = engine.config.user_id if user_id is None else user_id
        return engine.memory(user_id, engine.config.assistant_id if assistant_id is None else assistant_id)

    def settings(self) -> Config:
        """Returns the settings of the engine.

        Raises:
            MemoryOSError: If the engine can't be opened, or (in subclasses) if the caller may not read the settings.
        """
        return self._opened().config

    def _close(self) -> None:
        if self._opening is not None:
            self._opening.join()
        if self._engine is not None:
            self._engine.close()


@contextmanager
def explained(kind: type[Exception]) -> Iterator[None]:
    """Converts a ``MemoryOSError`` in the ``with`` block to an error with advice for the client.

    Args:
        kind: Class of the new error. Its message suggests the next step.
    """
    try:
        yield
    except MemoryOSError as error:
        raise kind(_advice(error)) from error


def _advice(error: MemoryOSError) -> str:
    if isinstance(error, InputError):
        return f"{error}. Call again with a valid value."
    if isinstance(error, NotFoundError):
        return f"{error}. Get valid ids from list_memories and get_user_profile."
    if isinstance(error, QuotaExceededError):
        return f"{error}. Nothing was stored; delete pages with forget_memory."
    if isinstance(error, AnalystError):
        return f"{error}. No data is lost; retrieve_memory works without the LLM."
    return f"{error}. Run `memoryos doctor` on the server's machine."
