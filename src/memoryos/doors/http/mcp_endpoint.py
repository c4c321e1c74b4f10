"""The MCP server at ``/mcp``. It has the same tools as ``memoryos mcp``, but checks the rights of each caller."""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request

from memoryos.doors.http.authentication import authenticate
from memoryos.doors.http.caller import Caller
from memoryos.doors.mcp_connection import Connection
from memoryos.doors.mcp_server import build_server
from memoryos.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager as Sessions
    from starlette.types import Receive, Scope, Send

    from memoryos.config import Config
    from memoryos.doors.http.server_state import ServerState
    from memoryos.memory import Memory

__all__ = ["McpEndpoint"]

_caller: ContextVar[Caller] = ContextVar("memoryos_mcp_caller")


class McpEndpoint:
    """Serves MCP over HTTP. The server is stateless: it keeps no session between two requests."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._sessions: Sessions | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the MCP server until the block ends."""
        mcp_server = build_server(_CallerConnection(self._server.engine))
        # BrowserSecurityMiddleware checks the Host header of all requests, so MCP's own check is off.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        limit = self._server.settings.max_body_bytes
        mcp_server.streamable_http_app(stateless_http=True, transport_security=security, max_request_body_size=limit)
        async with mcp_server.session_manager.run():
            self._sessions = mcp_server.session_manager
            try:
                yield
            finally:
                self._sessions = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            HTTPException: As ``authenticate``.
            RuntimeError: If the MCP server is not running (see ``running``).
        """
        if self._sessions is None:
            raise RuntimeError("the MCP server is not running; start the application's lifespan first")
        token = _caller.set(await authenticate(Request(scope, receive, send)))
        try:
            await self._sessions.handle_request(scope, receive, send)
        finally:
            _caller.reset(token)


class _CallerConnection(Connection):
    """Gives the MCP tools access only to memories that the caller of the current request may use."""

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Does nothing, because the HTTP server opens and closes the engine."""
        yield

    def memory(self, user_id: str | None, assistant_id: str | None) -> Memory:
        caller = _caller.get()
        requested = caller.user_id if user_id is None else user_id
        if requested is not None and not caller.may_use(requested):
            raise InputError(
                "user_id", "this key is for the memory of another user; use the key's user id, or another key"
            )
        return super().memory(requested, assistant_id)

    def settings(self) -> Config:
        if not _caller.get().is_admin:
            raise NotFoundError("only administrators may read the settings; send an administrator's key")
        return super().settings()
