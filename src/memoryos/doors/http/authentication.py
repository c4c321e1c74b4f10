"""Authentication: finds the caller of a request by the API key, and checks which memories the caller may use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, HTTPException, Query, Request

from memoryos.doors.http.affinity import set_affinity
from memoryos.doors.http.audit import AuditLog
from memoryos.doors.http.caller import LOCAL, Caller
from memoryos.doors.http.request_state import request_state
from memoryos.memory import Memory

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from memoryos.doors.http.server_state import ServerState

__all__ = ["AdminCaller", "AnyCaller", "Audit", "ScopedMemory", "authenticate"]

_log = logging.getLogger(__name__)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="memoryos"'}


async def authenticate(connection: HTTPConnection) -> Caller:
    """Finds the caller of a request by the API key, counts the request for the rate limits, and returns the caller.

    The key is read from ``Authorization: Bearer mos_…`` or ``X-API-Key``. The result is stored in the request state, so
    that further calls for the same request don't count it again.

    Raises:
        HTTPException: 401 if keys are required and the request has no valid key; 429 above a rate limit.
        StoreError: If the keys can't be read.
    """
    state = request_state(connection.scope)
    if state.caller is None:
        state.caller = await _identify(connection, connection.app.state.memoryos)
    return state.caller


async def any_caller(request: Request) -> Caller:
    """Returns the caller of a request, who may be any user or an administrator.

    Raises:
        HTTPException: As ``authenticate``.
        StoreError: As ``authenticate``.
    """
    return await authenticate(request)


AnyCaller = Annotated[Caller, Depends(any_caller)]
"""Route parameter: the caller of the request, with a valid key if keys are required."""


async def admin_caller(caller: AnyCaller) -> Caller:
    """Returns the caller of a request, who must be an administrator.

    Raises:
        HTTPException: 403 if the caller's key is for one user only.
    """
    if not caller.is_admin:
        raise HTTPException(403, "only administrators may use this route; send an administrator's key")
    return caller


AdminCaller = Annotated[Caller, Depends(admin_caller)]
"""Route parameter: the caller of the request, who must be an administrator."""


async def audit_log(request: Request, caller: AnyCaller) -> AuditLog:
    """Returns a writer for the audit log lines of a request."""
    return AuditLog(request, caller)


Audit = Annotated[AuditLog, Depends(audit_log)]
"""Route parameter: a writer for the audit log lines of the request."""


def scoped_memory(
    request: Request,
    user_id: str,
    audit: Audit,
    assistant_id: Annotated[str | None, Query(description="The assistant; default: the server's setting.")] = None,
    x_assistant_id: Annotated[
        str | None, Header(description="The assistant, for clients that can't set the query.")
    ] = None,
) -> Memory:
    """Returns the memory of the user in a route's path. If the user has no memory yet, the memory is empty.

    Raises:
        HTTPException: 403 if the caller may not use that user's memory. The refusal is written to the audit log.
        InputError: If an id is not valid.
    """
    if not audit.caller.may_use(user_id):
        audit.record("refuse", user_id=user_id)
    audit.caller.require_access(user_id)
    server: ServerState = request.app.state.memoryos
    engine = server.engine()
    memory = engine.memory(user_id, assistant_id or x_assistant_id or engine.config.assistant_id)
    set_affinity(request, memory.scope.user_id, memory.scope.assistant_id)
    return memory


ScopedMemory = Annotated[Memory, Depends(scoped_memory)]
"""Route parameter: the memory of the user in the path, after a check that the caller may use this memory."""


async def _identify(connection: HTTPConnection, server: ServerState) -> Caller:
    address = server.addresses.of(connection.scope)
    server.rates.count_address(connection, address)
    if not await server.access.needs_keys():
        return LOCAL
    text = _key_text(connection)
    if text is None:
        raise HTTPException(401, "a key is required; send Authorization: Bearer mos_…", headers=_CHALLENGE)
    key = await server.keyring.find(text)
    if key is None:
        server.rates.count_failure(address)
        _log.warning("request with an invalid key", extra={"fields": {"address": address}})
        raise HTTPException(401, "the key is wrong, revoked or expired; send a valid key", headers=_CHALLENGE)
    caller = Caller(key_id=key.key_id, is_admin=key.is_admin, user_id=key.user_id)
    server.rates.count(connection, caller)
    return caller


def _key_text(connection: HTTPConnection) -> str | None:
    """Returns the API key in the headers of a request; None if there is no key."""
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    return connection.headers.get("x-api-key") or None
