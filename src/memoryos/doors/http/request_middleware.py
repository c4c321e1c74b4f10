"""Middleware in front of the routes: slashes in ids, the key of a request, and limits on its body."""

from __future__ import annotations

import contextlib
import re
import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

import anyio
import anyio.to_thread
from starlette.convertors import Convertor
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match

from memoryos.doors.http.authentication import authenticate
from memoryos.doors.http.json_limits import check_json
from memoryos.doors.http.problem_details import Problem, error_response, problem_response
from memoryos.errors import InputError, MemoryOSError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.server_state import ServerState
    from memoryos.doors.http.settings import ServerSettings

__all__ = ["AuthenticationMiddleware", "BodyLimitMiddleware", "EncodedSlashMiddleware", "IdConvertor"]

LEAST_BYTES_PER_SECOND = 4_096
"""A body may take ``body_seconds`` and the time in which it arrives at this speed."""
_INLINE_BYTES = 1 << 18
"""A body up to this size is checked in the event loop, a larger one in a thread."""
_SLASH = "\ufdd0"
"""Replaces a slash inside an id while routes are matched; Unicode reserves it for such internal use."""
_TOO_LARGE = Problem(
    type="urn:memoryos:content-too-large", title="Content Too Large", status=413, detail="The body is too large."
)
_TOO_SLOW = "the body did not arrive in time"
_CLOSE = {"Connection": "close"}


class AuthenticationMiddleware:
    """Authenticates a request before its body is read and a route is looked for, and serves it.

    Args:
        app: The application.
        server: The server.
        open_routes: Routes that need no key.
    """

    def __init__(self, app: ASGIApp, server: ServerState, open_routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._server = server
        self._open_routes = open_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or self._is_open(scope):
            await self._app(scope, receive, send)
            return
        try:
            caller = await authenticate(HTTPConnection(scope))
        except (HTTPException, MemoryOSError) as error:
            await error_response(error)(scope, receive, send)
            return
        await self._server.open_requests.serve(self._app, caller, scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._open_routes)


class BodyLimitMiddleware:
    """Limits the size of bodies, the time that they take, and the number of values in their JSON.

    The body of an upload is passed on as it arrives, any other when it is whole: every other route takes JSON.

    Args:
        app: The application.
        settings: The limits.
        uploads: Routes whose body is a file, which may have ``max_import_bytes``.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, uploads: Sequence[BaseRoute]) -> None:
        self._app = app
        self._settings = settings
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_upload = any(route.matches(scope)[0] is Match.FULL for route in self._uploads)
        limit = self._settings.max_import_bytes if is_upload else self._settings.max_body_bytes
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > len(str(limit)) or int(announced) > limit):
            await self._refuse(scope, receive, send)
            return
        body = _Body(receive, limit, self._settings.body_seconds)
        if is_upload:
            await self._app(scope, body.receive, send)
            return
        try:
            whole = await self._read(body)
        except (HTTPException, InputError) as error:
            await error_response(error)(scope, receive, send)
            return
        if whole is not None:
            await self._app(scope, _replaying(whole, receive), send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 and then discards the body, if it is not larger than an import may be.

        Most clients read nothing before they have sent their body: a connection that is closed at once is an error of
        the network to them.
        """

        async def send_open(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await problem_response(_TOO_LARGE, _CLOSE)(scope, receive, send_open)
        headers = Headers(scope=scope)
        length = headers["content-length"]
        most = self._settings.max_import_bytes
        if "expect" not in headers and len(length) <= len(str(most)) and int(length) <= most:
            body = _Body(receive, most, self._settings.body_seconds)
            with contextlib.suppress(HTTPException):
                while not body.is_whole:
                    await body.receive()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(self, body: _Body) -> bytes | None:
        """Returns the whole body, checked; None if the client left before its end.

        Raises:
            HTTPException: 408 or 413.
            InputError: As ``check_json``.
        """
        parts = []
        while not body.is_whole:
            message = await body.receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
        whole = b"".join(parts)
        if len(whole) <= _INLINE_BYTES:
            check_json(whole, self._settings.max_json_values)
        else:
            await anyio.to_thread.run_sync(partial(check_json, whole, self._settings.max_json_values))
        return whole


class EncodedSlashMiddleware:
    """Keeps ``%2F`` in a path apart from the slashes between its parts: ids are data and may have any character."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        raw = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2f" in raw.lower():
            path = re.sub("%2f", _SLASH, raw.split(b"?")[0].decode("ascii", "replace"), flags=re.IGNORECASE)
            scope = {**scope, "path": unquote(path)}
        await self._app(scope, receive, send)


class IdConvertor(Convertor[str]):
    """A part of a path that is an id."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Returns the id as the caller has it."""
        return value.replace(_SLASH, "/")

    def to_string(self, value: str) -> str:
        """Returns the id as a part of a path."""
        return value.replace("/", _SLASH)


class _Body:
    """Receives the body of a request within its limits.

    Only the time in which the server waits for the client counts.
    """

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._waited = 0.0
        self._read = 0
        self.is_whole = False

    async def receive(self) -> Message:
        """Returns the next message.

        Raises:
            HTTPException: 413 if the body is too large, 408 if it does not arrive in time.
        """
        if self.is_whole:
            return await self._receive()
        began = time.monotonic()
        left = self._seconds + self._read / LEAST_BYTES_PER_SECOND - self._waited
        with anyio.move_on_after(max(0.0, left)) as waiting:
            message = await self._receive()
        if waiting.cancelled_caught:
            raise HTTPException(408, _TOO_SLOW, _CLOSE)
        self._waited += time.monotonic() - began
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            raise HTTPException(413, _TOO_LARGE.detail, _CLOSE)
        self.is_whole = not message.get("more_body", False)
        return message


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Returns a ``receive`` that begins with a whole body."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
