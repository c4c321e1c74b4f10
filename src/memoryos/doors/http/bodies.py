"""What happens to a request before anything of it is read: its key, the length of its body, ids in its path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.convertors import Convertor
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match

from memoryos.doors.http.callers import authenticate
from memoryos.doors.http.problems import Problem, error_response, problem_response
from memoryos.errors import MemoryOSError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.settings import ServerSettings

__all__ = ["BodyLimit", "IdConvertor", "KeyFirst", "SlashesInIds"]

_IMPORT = re.compile(r"/v1/users/.+/import")
_SLASH = "\ufdd0"
"""Stands for a slash inside an id while routes are looked for; Unicode keeps it free for such uses."""
_TOO_LARGE = Problem(
    type="urn:memoryos:content-too-large", title="Content Too Large", status=413, detail="The body is too large."
)


class KeyFirst:
    """Asks for the key before a body is read and a route is looked for: without one nothing at all is told.

    Args:
        app: What is asked for.
        open_routes: What needs no key.
    """

    def __init__(self, app: ASGIApp, open_routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._open_routes = open_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http" and not self._is_open(scope):
            try:
                await authenticate(HTTPConnection(scope))
            except (HTTPException, MemoryOSError) as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._open_routes)


class BodyLimit:
    """Refuses a body that is larger than the settings allow, at once if it says so, else while it is read."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_import = _IMPORT.fullmatch(scope["path"]) is not None
        limit = self._settings.max_import_bytes if is_import else self._settings.max_body_bytes
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > len(str(limit)) or int(announced) > limit):
            await problem_response(_TOO_LARGE, {"Connection": "close"})(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise HTTPException(413, _TOO_LARGE.detail, {"Connection": "close"})
            return message

        await self._app(scope, counted, send)


class SlashesInIds:
    """Keeps ``%2F`` in a path apart from the slashes between its parts: ids are data and may hold any character."""

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
