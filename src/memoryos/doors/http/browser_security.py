"""Checks before authentication: the address to listen on, and requests from elsewhere while keys are off."""

from __future__ import annotations

import base64
import ipaddress
import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders

from memoryos.doors.http.addresses import is_forwarded
from memoryos.doors.http.problem_details import Problem, problem_response
from memoryos.errors import ConfigError, MemoryOSError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.rate_limits import Allowance
    from memoryos.doors.http.server_state import ServerState
    from memoryos.doors.http.settings import ServerSettings
    from memoryos.engine import MemoryEngine

__all__ = ["BrowserSecurityMiddleware", "check_binding", "warn_of_unused_keys"]

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every response unless it sets another value: no cache keeps it, no page of another site shows it in a frame."""
_MISDIRECTED = Problem(
    type="urn:memoryos:host",
    title="Misdirected Request",
    status=421,
    detail="The server is not called so; MEMORYOS_SERVER_ALLOWED_HOSTS names what else it is called.",
)
_FORWARDED = Problem(
    type="urn:memoryos:forwarded",
    title="Forbidden",
    status=403,
    detail="A reverse proxy forwarded this to a server without keys, which serves its own machine only. Make a key "
    "(memoryos keys create) and start the server with --keys.",
)
_KEY_WITHOUT_KEYS = Problem(
    type="urn:memoryos:keys-off",
    title="Unauthorized",
    status=401,
    detail="The request has a key, but this server checks none: its store has no key, or it runs with --no-keys. Make "
    "a key (memoryos keys create) and start the server with --keys; or leave the key out.",
)
_FOREIGN_PAGE = Problem(
    type="urn:memoryos:origin",
    title="Forbidden",
    status=403,
    detail="A page of another origin sent this; MEMORYOS_SERVER_CORS_ORIGINS names the origins that may.",
)
_OWN_SITES = frozenset(["same-origin", "none"])
"""Values of ``Sec-Fetch-Site``: sent by our own page, or by the user. Another port of this machine is "same-site"."""
_CREDENTIAL_HEADERS = ("authorization", "proxy-authorization", "x-api-key", "api-key")
_KEY = re.compile(r"mos_[0-9a-f-]{36}_[A-Za-z0-9_-]{43}")

_log = logging.getLogger(__name__)


def check_binding(settings: ServerSettings, engine: MemoryEngine) -> None:
    """Refuses to start without keys where other machines can connect, and without a valid key where keys are needed.

    Raises:
        ConfigError: If other machines could use the server without a key, or every request needs a key and none is
            valid.
    """
    if not settings.is_local and settings.keys is False:
        raise ConfigError(
            f"server: {settings.host} can be reached from other machines, so keys can't be off; "
            "listen on 127.0.0.1, or make a key: memoryos keys create --admin"
        )
    keys = engine.store.keys
    if settings.needs_keys and not keys.any_valid(engine.clock()):
        raise ConfigError(
            f"server: every request to {settings.host} needs a key and there is none; "
            "make one: memoryos keys create --admin"
        )
    if settings.keys is None and keys.any() and not keys.any_valid(engine.clock()):
        raise ConfigError(
            "server: every key of this store was revoked or has expired, and a store that had a key stays closed; "
            "make one: memoryos keys create --admin, or let every program of this machine in: --no-keys"
        )


def warn_of_unused_keys(settings: ServerSettings, engine: MemoryEngine) -> None:
    """Logs a warning if keys are off although the store has some."""
    if not settings.needs_keys and settings.keys is False and engine.store.keys.any():
        _log.warning("this store has keys, but --no-keys lets every program of this machine read and change it")


class BrowserSecurityMiddleware:
    """Sets the headers that tell browsers to be careful; refuses requests that are not local while keys are off.

    Without keys, everything that can connect may use the server: reverse proxies, and every web page that is open on
    this machine. Such requests have the name of another host (DNS rebinding), a header of a proxy, or the origin of
    another site. A request with a key is refused too, since its sender believes that keys are checked.

    Args:
        app: The application.
        server: The server.
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
        state = scope.setdefault("state", {})

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                allowance: Allowance | None = state.get("memoryos_allowance")
                for name, value in (_HEADERS | (allowance.headers if allowance else {})).items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._problem(Headers(scope=scope), scope["query_string"])
        if problem is not None and await self._needs_keys():
            problem = None
        served = self._app if problem is None else problem_response(problem)
        await served(scope, receive, guarded)

    async def _needs_keys(self) -> bool:
        """Returns whether keys are on; False while that can't be read, so that the request is refused."""
        try:
            return await self._access.needs_keys()
        except MemoryOSError:
            return False

    def _problem(self, headers: Headers, query: bytes) -> Problem | None:
        """Returns why a request may not be served while keys are off."""
        host = headers.get("host", "")
        if is_forwarded(headers):
            return _FORWARDED
        if not self._is_ours(host):
            return _MISDIRECTED
        if _has_key(headers, query):
            return _KEY_WITHOUT_KEYS
        origin = headers.get("origin")
        if origin is not None and origin.lower() in self._origins:
            return None
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return _FOREIGN_PAGE
        return None if headers.get("sec-fetch-site", "none").lower() in _OWN_SITES else _FOREIGN_PAGE

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return "@" not in host and (name in self._hosts or ipaddress.ip_address(name).is_loopback)
        except ValueError:
            return False


def _has_key(headers: Headers, query: bytes) -> bool:
    """Returns whether a key of ours is in a request: in a header of credentials in any form, elsewhere as a whole."""
    credentials = [value for name in _CREDENTIAL_HEADERS for value in headers.getlist(name)]
    if any("mos_" in each or "mos_" in _basic(each) for each in credentials):
        return True
    return any(map(_KEY.search, (*headers.values(), unquote(query.decode("latin-1")))))


def _basic(credentials: str) -> str:
    """Returns the user and password of ``Basic`` credentials, "" for others."""
    kind, _, encoded = credentials.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded.strip()).decode("latin-1")
    except ValueError:
        return ""
