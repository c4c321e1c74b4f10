"""Affinity: a response header with which a load balancer can send all requests for one memory to the same server.

Its use is optional, because every server can serve every memory. With affinity, fewer servers load the same memory.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from memoryos.doors.http.request_state import request_state

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["AFFINITY_HEADER", "AffinityMiddleware", "affinity_of", "set_affinity"]

AFFINITY_HEADER = "MemoryOS-Affinity"


def affinity_of(user_id: str, assistant_id: str) -> str:
    """Returns 16 hexadecimal digits that identify a memory. They are the same on every server and in every release.

    The digits are the first 16 of a SHA-256 hash. The hashed bytes are the user id, a zero byte and the assistant id,
    in UTF-8. A client that knows both ids can compute the digits, too.
    """
    return hashlib.sha256(f"{user_id}\0{assistant_id}".encode()).hexdigest()[:16]


def set_affinity(connection: HTTPConnection, user_id: str, assistant_id: str) -> None:
    """Stores the affinity of the memory that a request uses, for the response header ``MemoryOS-Affinity``."""
    request_state(connection.scope).affinity = affinity_of(user_id, assistant_id)


class AffinityMiddleware:
    """Adds the header ``MemoryOS-Affinity`` to the response if the request used one memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = request_state(scope)

        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start" and state.affinity is not None:
                MutableHeaders(scope=message)[AFFINITY_HEADER] = state.affinity
            await send(message)

        await self._app(scope, receive, send_with_header)
