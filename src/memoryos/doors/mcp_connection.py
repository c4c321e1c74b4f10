"""What stands behind the MCP server: the engine, opened beside the handshake, and what its errors say to a client."""

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
    """The engine behind the server, opened in the background; what could not be opened is tried again at each call.

    Args:
        open_engine: Opens it. Its settings name the user and the assistant where a call names none.
        client_model: Told of the client, where there is only one whose model the engine may use.
    """

    def __init__(self, open_engine: Callable[[], MemoryEngine], client_model: ClientModel | None = None) -> None:
        self._open_engine = open_engine
        self._client_model = client_model
        self._engine: MemoryEngine | None = None
        self._lock = threading.Lock()
        self._opening: threading.Thread | None = None

    @asynccontextmanager
    async def living(self, _: object) -> AsyncIterator[None]:
        """Begins to open the engine; closes it at the end."""
        self._opening = threading.Thread(target=self._warm_up, name="memoryos-opening", daemon=True)
        self._opening.start()
        try:
            async with self._client_model.serving() if self._client_model else nullcontext():
                yield
        finally:
            self._close()

    async def meet(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Has the client's model meet the client at its first request behind the handshake."""
        is_request = ctx.method != "initialize" and not ctx.method.startswith("notifications/")
        if self._client_model is not None and is_request:
            self._client_model.meet(ctx.session)
        return await call_next(ctx)

    def _warm_up(self) -> None:
        with suppress(MemoryOSError):  # whoever calls a tool is told
            self._opened().embedder.embed(["the first call loads the model"])

    def _opened(self) -> MemoryEngine:
        with self._lock:
            if self._engine is None:
                self._engine = self._open_engine()
            return self._engine

    def memory(self, user_id: str | None, assistant_id: str | None) -> Memory:
        """Returns the memory that a call is about.

        Raises:
            MemoryOSError: If the engine can't be opened or an id can't be used.
        """
        engine = self._opened()
        user_id = engine.config.user_id if user_id is None else user_id
        return engine.memory(user_id, engine.config.assistant_id if assistant_id is None else assistant_id)

    def settings(self) -> Config:
        """Returns the settings, for whoever may read them.

        Raises:
            MemoryOSError: If the engine can't be opened, or the caller may not.
        """
        return self._opened().config

    def _close(self) -> None:
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
    if isinstance(error, QuotaExceededError):
        return f"{error}. Nothing was stored; forget_memory forgets pages."
    if isinstance(error, AnalystError):
        return f"{error}. Nothing is lost: retrieve_memory works without the LLM."
    return f"{error}. Run `memoryos doctor` on the machine of the server."
