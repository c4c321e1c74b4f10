"""The MCP server at ``/mcp``: the same tools as ``memoryos mcp``, each call for whoever sent it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request

from memoryos.doors.http.callers import Caller, authenticate
from memoryos.doors.mcp_connection import Connection
from memoryos.doors.mcp_server import build_server
from memoryos.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager as Sessions
    from starlette.types import Receive, Scope, Send

    from memoryos.config import Config
    from memoryos.doors.http.serving import Serving
    from memoryos.memory import Memory

__all__ = ["McpDoor"]

_caller: ContextVar[Caller] = ContextVar("memoryos_mcp_caller")


class McpDoor:
    """Answers requests of the MCP protocol; every one stands for itself, so that no session is kept."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._sessions: Sessions | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves until the block ends."""
        server = build_server(_CallersConnection(self._serving.engine))
        # The hosts that may ask are checked for the whole server, in front of this.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        limit = self._serving.settings.max_body_bytes
        server.streamable_http_app(stateless_http=True, transport_security=security, max_request_body_size=limit)
        async with server.session_manager.run():
            self._sessions = server.session_manager
            try:
                yield
            finally:
                self._sessions = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            HTTPException: As ``authenticate``.
        """
        if self._sessions is None:
            raise RuntimeError("the MCP server does not run; is the lifespan of the application entered?")
        token = _caller.set(await authenticate(Request(scope, receive, send)))
        try:
            await self._sessions.handle_request(scope, receive, send)
        finally:
            _caller.reset(token)


class _CallersConnection(Connection):
    """The engine of the server, which lives longer; each call gets only at what its caller may see."""

    @asynccontextmanager
    async def living(self, _: object) -> AsyncIterator[None]:
        yield

    def memory(self, user_id: str | None, assistant_id: str | None) -> Memory:
        caller = _caller.get()
        asked = caller.user_id if user_id is None else user_id
        if asked is not None and not caller.may_use(asked):
            raise InputError("user_id", "this key opens the memory of another user")
        return super().memory(asked, assistant_id)

    def settings(self) -> Config:
        if not _caller.get().is_admin:
            raise NotFoundError("the settings are shown to administrators only")
        return super().settings()
