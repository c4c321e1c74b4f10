"""Sets security headers for browsers. While no API key is required, also refuses requests sent by other web sites."""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders

from memoryos.doors.http.addresses import is_forwarded
from memoryos.doors.http.problem_details import Problem, problem_response
from memoryos.doors.http.request_state import request_state
from memoryos.errors import MemoryOSError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.server_state import ServerState

__all__ = ["BrowserSecurityMiddleware"]

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Default headers of every response. For example, they forbid caching and the display in frames of other sites."""
_WRONG_HOST = Problem(
    type="urn:memoryos:host",
    title="Misdirected Request",
    status=421,
    detail="The Host header is not a name of this server; add the name to MEMORYOS_SERVER_ALLOWED_HOSTS.",
)
_FORWARDED = Problem(
    type="urn:memoryos:forwarded",
    title="Forbidden",
    status=403,
    detail="A reverse proxy forwarded this request, but a server without keys accepts only requests from its own "
    "machine. Create a key (memoryos keys create) and start the server with --keys.",
)
_KEY_WITHOUT_KEYS = Problem(
    type="urn:memoryos:keys-off",
    title="Unauthorized",
    status=401,
    detail="The request has a key, but this server does not check keys: its store has none, or it runs with "
    "--no-keys. Create a key (memoryos keys create) and start the server with --keys, or send no key.",
)
_CROSS_ORIGIN = Problem(
    type="urn:memoryos:origin",
    title="Forbidden",
    status=403,
    detail="A web page of another origin sent this request; add the origin to MEMORYOS_SERVER_CORS_ORIGINS.",
)
_SAME_SITE_VALUES = frozenset(["same-origin", "none"])
"""Accepted values of ``Sec-Fetch-Site``. "same-site" is refused, because it includes other ports of this machine."""
_CREDENTIAL_HEADERS = ("authorization", "proxy-authorization", "x-api-key", "api-key")
_KEY = re.compile(r"mos_[0-9a-f-]{36}_[A-Za-z0-9_-]{43}")


class BrowserSecurityMiddleware:
    """Sets security headers on responses, and refuses unsafe requests while no API key is required.

    Without keys, only programs on this machine should use the server. The middleware therefore refuses requests with
    an unknown host name (DNS rebinding), requests with the header of a reverse proxy, and requests of other web sites.
    It also refuses requests with a key, because their senders expect that the server checks keys.

    Args:
        app: The application.
        server: The state of the server.
    """

    def __init__(self, app: ASGIApp, server: ServerState) -> None:
        settings = server.settings
        self._app = app
        self._access = server.access
        self._hosts = {"localhost", *map(str.lower, (settings.host, *settings.allowed_hosts))}
        self._origins = {each.rstrip("/").lower() for each in settings.cors_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = request_state(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (_HEADERS | (state.allowance.headers if state.allowance else {})).items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._problem_without_keys(Headers(scope=scope), scope["query_string"])
        if problem is not None and await self._needs_keys():
            problem = None
        app = self._app if problem is None else problem_response(problem)
        await app(scope, receive, send_with_headers)

    async def _needs_keys(self) -> bool:
        """Returns whether requests require a key.

        Returns False if the store can't be read. The request is then refused, as on a server without keys.
        """
        try:
            return await self._access.needs_keys()
        except MemoryOSError:
            return False

    def _problem_without_keys(self, headers: Headers, query: bytes) -> Problem | None:
        """Returns why a server without keys must refuse a request; None if the server can accept the request."""
        host = headers.get("host", "")
        if is_forwarded(headers):
            return _FORWARDED
        if not self._is_own_host(host):
            return _WRONG_HOST
        if _has_key(headers, query):
            return _KEY_WITHOUT_KEYS
        return None if self._is_allowed_origin(headers, host) else _CROSS_ORIGIN

    def _is_allowed_origin(self, headers: Headers, host: str) -> bool:
        """Returns whether the sender of a request may use the server.

        The server's own web page, web pages of allowed origins, and programs other than web pages may use it.
        """
        origin = headers.get("origin")
        if origin is not None and origin.lower() in self._origins:
            return True
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return False
        return headers.get("sec-fetch-site", "none").lower() in _SAME_SITE_VALUES

    def _is_own_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return "@" not in host and (name in self._hosts or ipaddress.ip_address(name).is_loopback)
        except ValueError:
            return False


def _has_key(headers: Headers, query: bytes) -> bool:
    """Returns whether a request contains an API key of MemoryOS.

    In a header for credentials, the prefix "mos_" already counts as a key. In other headers and in the query string,
    only text in the full format of a key counts.
    """
    credentials = [value for name in _CREDENTIAL_HEADERS for value in headers.getlist(name)]
    if any("mos_" in each or "mos_" in _basic_credentials(each) for each in credentials):
        return True
    return any(map(_KEY.search, (*headers.values(), unquote(query.decode("latin-1")))))


def _basic_credentials(value: str) -> str:
    """Returns the decoded "user:password" of a ``Basic`` authorization header; "" for other schemes."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded.strip()).decode("latin-1")
    except ValueError:
        return ""
