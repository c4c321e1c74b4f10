"""Authenticates requests: a key becomes a ``Caller``, which may use the memories of its user only."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, HTTPException, Query, Request

from memoryos.doors.http.affinity import note_affinity
from memoryos.doors.http.audit import audit
from memoryos.memory import Memory

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from memoryos.doors.http.serving import Serving

__all__ = [
    "LOCAL",
    "AdminCaller",
    "AnyCaller",
    "Caller",
    "ScopedMemory",
    "admin",
    "authenticate",
    "caller",
    "check_may_use",
    "scope_of",
]

_log = logging.getLogger(__name__)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="memoryos"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        key_id: The key that it came with; None while keys are off.
        is_admin: Whether every user's memory is open, and what concerns the whole server.
        user_id: The only user whose memory is open; None for an administrator, and while keys are off.
    """

    key_id: str | None
    is_admin: bool
    user_id: str | None

    def may_use(self, user_id: str) -> bool:
        """Returns whether that user's memory is open to this caller, be there one or not."""
        return self.is_admin or self.user_id == user_id


LOCAL = Caller(key_id=None, is_admin=True, user_id=None)
"""Whoever calls while keys are off: a program of this machine."""


async def authenticate(connection: HTTPConnection) -> Caller:
    """Returns who sent a request. Middleware and mounted applications, as the MCP server, call it directly.

    The key is read from ``Authorization: Bearer mos_…`` or ``X-API-Key``. The request is counted once, however often
    this is called for it.

    Raises:
        HTTPException: 401 without a valid key while keys are on; 429 when the limits say so.
        StoreError: If the keys can't be read now.
    """
    known: Caller | None = getattr(connection.state, "memoryos_caller", None)
    if known is None:
        serving: Serving = connection.app.state.memoryos
        known = await _identify(connection, serving)
        connection.state.memoryos_caller = known
    return known


async def caller(request: Request) -> Caller:
    """Returns who sent the request.

    Raises:
        HTTPException: As ``authenticate``.
        StoreError: Likewise.
    """
    return await authenticate(request)


AnyCaller = Annotated[Caller, Depends(caller)]
"""A route's parameter: whoever calls with a valid key, or with none while keys are off."""


async def admin(caller: AnyCaller) -> Caller:
    """Returns the caller of a route that concerns the whole server.

    Raises:
        HTTPException: 403 for a key of one user.
    """
    if not caller.is_admin:
        raise HTTPException(403, "this needs a key of an administrator")
    return caller


AdminCaller = Annotated[Caller, Depends(admin)]
"""A route's parameter: a caller to whom everything is open."""


def check_may_use(caller: Caller, user_id: str) -> None:
    """Refuses another user's memory, whether or not there is one: nothing tells the two apart.

    Raises:
        HTTPException: 403 if the memory of that user is not open to the caller.
    """
    if not caller.may_use(user_id):
        raise HTTPException(403, "this key opens the memory of another user")


def scope_of(
    request: Request,
    user_id: str,
    caller: AnyCaller,
    assistant_id: Annotated[str | None, Query(description="The assistant; default: the server's own.")] = None,
    x_assistant_id: Annotated[str | None, Header(description="The same, where a query is in the way.")] = None,
) -> Memory:
    """Returns the memory that a route with ``{user_id}`` in its path is about. It makes no scope.

    Raises:
        HTTPException: 403 for another user's path.
        InputError: If an id can't be used.
    """
    if not caller.may_use(user_id):
        audit(request, caller, "refuse", user_id=user_id)
    check_may_use(caller, user_id)
    serving: Serving = request.app.state.memoryos
    engine = serving.engine()
    memory = engine.memory(user_id, assistant_id or x_assistant_id or engine.config.assistant_id)
    note_affinity(request, memory.scope.user_id, memory.scope.assistant_id)
    return memory


ScopedMemory = Annotated[Memory, Depends(scope_of)]
"""A route's parameter: the memory of the user in its path, checked against the key."""


async def _identify(connection: HTTPConnection, serving: Serving) -> Caller:
    address = serving.addresses.of(connection.scope)
    serving.rates.count_address(connection, address)
    if not await serving.access.needs_keys():
        return LOCAL
    text = _key_text(connection)
    if text is None:
        raise HTTPException(401, "a key is needed", headers=_CHALLENGE)
    key = await serving.keyring.find(text)
    if key is None:
        serving.rates.count_failure(address)
        _log.warning("a key was not valid", extra={"fields": {"address": address}})
        raise HTTPException(401, "the key is not valid", headers=_CHALLENGE)
    found = Caller(key_id=key.key_id, is_admin=key.is_admin, user_id=key.user_id)
    serving.rates.count(connection, found)
    return found


def _key_text(connection: HTTPConnection) -> str | None:
    kind, _, text = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and text.strip():
        return text.strip()
    return connection.headers.get("x-api-key") or None
