"""Who may reach the server at all, and what browsers are told: nothing here looks at a key."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

from memoryos.doors.http.problems import Problem, problem_response
from memoryos.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from memoryos.doors.http.rates import Allowance
    from memoryos.doors.http.settings import ServerSettings
    from memoryos.engine import MemoryEngine

__all__ = ["Guard", "check_binding"]

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every response that does not say otherwise: memories are kept by no cache, shown in no frame of another page."""
_MISDIRECTED = Problem(
    type="urn:memoryos:host",
    title="Misdirected Request",
    status=421,
    detail="The server is not called so; MEMORYOS_SERVER_ALLOWED_HOSTS names what else it is called.",
)
_FOREIGN_PAGE = Problem(
    type="urn:memoryos:origin",
    title="Forbidden",
    status=403,
    detail="A page of another origin sent this; MEMORYOS_SERVER_CORS_ORIGINS names the origins that may.",
)


def check_binding(settings: ServerSettings, engine: MemoryEngine) -> None:
    """Refuses to serve what nobody guards, or nobody can open.

    Raises:
        ConfigError: If other machines could reach the server without a key, or no valid key is there where each
            request needs one.
    """
    if not settings.is_local and settings.keys is False:
        raise ConfigError(
            f"server: {settings.host} can be reached from other machines, so keys can't be off; "
            "listen on 127.0.0.1, or make a key: memoryos keys create --admin"
        )
    if settings.needs_keys and not engine.store.keys.any_valid(engine.clock()):
        raise ConfigError(
            f"server: every request to {settings.host} needs a key and there is none; "
            "make one: memoryos keys create --admin"
        )


class Guard:
    """Sets the headers that keep browsers honest; while keys are off it refuses what a foreign web page may send.

    Without keys whoever reaches the server may use it, and every web page that is open on this machine reaches it. Two
    things tell such requests: they carry the name of another host (DNS rebinding) or of another origin.

    Args:
        app: What is guarded.
        settings: Those of the server.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._is_open = not settings.needs_keys
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

        problem = self._problem(Headers(scope=scope)) if self._is_open else None
        served = self._app if problem is None else problem_response(problem)
        await served(scope, receive, guarded)

    def _problem(self, headers: Headers) -> Problem | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return _MISDIRECTED
        origin = headers.get("origin")
        if origin is None or origin.lower() in self._origins or origin.partition("://")[2].lower() == host.lower():
            return None
        return _FOREIGN_PAGE

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return "@" not in host and (name in self._hosts or ipaddress.ip_address(name).is_loopback)
        except ValueError:
            return False
