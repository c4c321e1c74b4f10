"""Middleware that runs before routing: authentication, limits on request bodies, and encoded slashes in ids."""

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

MIN_BYTES_PER_SECOND = 4_096
"""Number of received bytes that extend the timeout for a request body by one second."""
_INLINE_BYTES = 1 << 18
"""Maximum size in bytes of a body that is checked in the event loop. Larger bodies are checked in a thread."""
_SLASH = "\ufdd0"
"""Replaces a slash inside an id during routing. Unicode reserves this code point for such internal uses."""
_TOO_LARGE = Problem(
    type="urn:memoryos:content-too-large",
    title="Content Too Large",
    status=413,
    detail="The body is too large; send it in smaller parts.",
)
_TOO_SLOW = "the request body did not arrive in time; send it faster or in smaller parts"
_CLOSE = {"Connection": "close"}


class AuthenticationMiddleware:
    """Authenticates a request before its body is read and before routing.

    Args:
        app: The application.
        server: The state of the server.
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
    """Limits the size and the transfer time of request bodies, and the number of values in their JSON.

    The body of an upload is streamed to the route. Any other body must be JSON. It is read completely and checked
    before the route receives it.

    Args:
        app: The application.
        settings: The limits.
        uploads: Routes whose body is a file of at most ``max_import_bytes``.
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
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and (len(length) > len(str(limit)) or int(length) > limit):
            await self._refuse(scope, receive, send)
            return
        body = _LimitedBody(receive, limit, self._settings.body_seconds)
        if is_upload:
            await self._app(scope, body.receive, send)
            return
        try:
            content = await self._read(body)
        except (HTTPException, InputError) as error:
            await error_response(error)(scope, receive, send)
            return
        if content is not None:
            await self._app(scope, _replaying(content, receive), send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 (too large), then reads and discards the body, but at most ``max_import_bytes``.

        Most clients send their whole body before they read the response. If the server closed the connection at once,
        these clients would report a network error instead of the status 413.
        """

        async def send_open(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await problem_response(_TOO_LARGE, _CLOSE)(scope, receive, send_open)
        headers = Headers(scope=scope)
        length = headers["content-length"]
        limit = self._settings.max_import_bytes
        if "expect" not in headers and len(length) <= len(str(limit)) and int(length) <= limit:
            body = _LimitedBody(receive, limit, self._settings.body_seconds)
            with contextlib.suppress(HTTPException):
                while not body.is_complete:
                    await body.receive()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(self, body: _LimitedBody) -> bytes | None:
        """Reads and checks the complete body, and returns it; None if the client disconnected.

        Raises:
            HTTPException: 408 on timeout, 413 if the body is too large or has too many JSON values.
            InputError: As ``check_json``.
        """
        parts = []
        while not body.is_complete:
            message = await body.receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
        content = b"".join(parts)
        if len(content) <= _INLINE_BYTES:
            check_json(content, self._settings.max_json_values)
        else:
            await anyio.to_thread.run_sync(partial(check_json, content, self._settings.max_json_values))
        return content


class EncodedSlashMiddleware:
    """Lets ids in URLs contain an encoded slash (``%2F``), which routing must not treat as a path separator."""

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
    """Converts ids to segments of URL paths and back. Routes use it as the type ``id``, e.g. ``{user_id:id}``."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Returns the id in a path segment."""
        return value.replace(_SLASH, "/")

    def to_string(self, value: str) -> str:
        """Returns the path segment for an id."""
        return value.replace("/", _SLASH)


class _LimitedBody:
    """Receives a request body with a size limit and a timeout. The timeout counts only the time of waiting for data."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._waited_seconds = 0.0
        self._received_bytes = 0
        self.is_complete = False

    async def receive(self) -> Message:
        """Returns the next ASGI message of the request.

        Raises:
            HTTPException: 413 if the body is too large, 408 on timeout.
        """
        if self.is_complete:
            return await self._receive()
        started = time.monotonic()
        remaining = self._seconds + self._received_bytes / MIN_BYTES_PER_SECOND - self._waited_seconds
        with anyio.move_on_after(max(0.0, remaining)) as timeout:
            message = await self._receive()
        if timeout.cancelled_caught:
            raise HTTPException(408, _TOO_SLOW, _CLOSE)
        self._waited_seconds += time.monotonic() - started
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._limit:
            raise HTTPException(413, _TOO_LARGE.detail, _CLOSE)
        self.is_complete = not message.get("more_body", False)
        return message


def _replaying(content: bytes, receive: Receive) -> Receive:
    """Returns a ``receive`` function for a request whose body was already read.

    Its first call returns the body. Further calls return the next messages from the client.
    """
    messages = [{"type": "http.request", "body": content, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
