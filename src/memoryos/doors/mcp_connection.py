"""The engine of the MCP server, opened in the background during the handshake, and its errors as protocol errors."""

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
    from memoryos.memory import Memoryos
    from memoryos.models.mcp_sampling import ClientModel

__all__ = ["Connection", "explained"]


class Connection:
    """Opens the engine of an MCP server in the background and returns memories of it.

    If opening fails, every call tries again, so the user can correct the settings without restarting the server.

    Args:
        open_engine: Opens the engine. Its settings supply the user and the assistant that a call leaves out.
        client_model: Receives the session of the client; None if the server has many clients (HTTP).
    """

    def __init__(self, open_engine: Callable[[], MemoryEngine], client_model: ClientModel | None = None) -> None:
        self._open_engine = open_engine
        self._client_model = client_model
        self._engine: MemoryEngine | None = None
        self._lock = threading.Lock()
        self._opening: threading.Thread | None = None

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Starts opening the engine on entry and closes it on exit."""
        self._opening = threading.Thread(target=self._warm_up, name="memoryos-opening", daemon=True)
        self._opening.start()
        try:
            async with self._client_model.serving() if self._client_model else nullcontext():
                yield
        finally:
            self._close()

    async def session_middleware(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Passes the client's session to the client model at each request after the handshake."""
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

    def memory(self, user_id: str | None, assistant_id: str | None) -> Memoryos:
        """Returns the memory of the user and the assistant; None selects those of the settings.

        Raises:
            MemoryOSError: If the engine can't be opened or an id is invalid.
        """
        engine = self._opened()
        user_id = engine.config.user_id if user_id is None else user_id
        return engine.memory(user_id, engine.config.assistant_id if assistant_id is None else assistant_id)

    def settings(self) -> Config:
        """Returns the settings of the engine.

        Raises:
            MemoryOSError: If the engine can't be opened. Subclasses also raise it if the caller has no permission.
        """
        return self._opened().config

    def _close(self) -> None:
        if self._opening is not None:
            self._opening.join()
        if self._engine is not None:
            self._engine.close()


@contextmanager
def explained(kind: type[Exception]) -> Iterator[None]:
    """Converts a ``MemoryOSError`` into the protocol error ``kind``, whose message suggests the next step."""
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
