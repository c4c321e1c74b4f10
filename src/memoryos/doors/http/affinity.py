"""Affinity: a hint by which a load balancer may send the requests of one memory to one server, whose copy is warm.

Servers need none: a working set is read anew wherever it is needed. It only saves the reading.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["AFFINITY_HEADER", "AffinityMiddleware", "affinity_of", "note_affinity"]

AFFINITY_HEADER = "MemoryOS-Affinity"
_STATE = "memoryos_affinity"


def affinity_of(user_id: str, assistant_id: str) -> str:
    """Returns 16 hexadecimal digits that are the same for one memory on every server and in every release.

    They are the first of SHA-256 over the UTF-8 of both ids with a zero byte between them: who knows the ids can
    compute them.
    """
    return hashlib.sha256(f"{user_id}\0{assistant_id}".encode()).hexdigest()[:16]


def note_affinity(connection: HTTPConnection, user_id: str, assistant_id: str) -> None:
    """Notes which memory a request is about, so that its response tells."""
    setattr(connection.state, _STATE, affinity_of(user_id, assistant_id))


class AffinityMiddleware:
    """Middleware: the response of a request about one memory carries ``MemoryOS-Affinity``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on, with the header where a route noted a memory."""
        state = scope.setdefault("state", {})

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and _STATE in state:
                MutableHeaders(scope=message)[AFFINITY_HEADER] = state[_STATE]
            await send(message)

        await self._app(scope, receive, tell)
