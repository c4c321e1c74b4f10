"""The LLM endpoint of the proxy: its URL, its key, and the lists of headers that are forwarded to and from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2
from fastapi import HTTPException

from memoryos.doors.http.proxy_options import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from memoryos.config import Config
    from memoryos.doors.http.caller import Caller

__all__ = ["Upstream", "returned_headers"]

OPENAI = "https://api.openai.com/v1"
PASSED = b"x-memoryos-passed"
"""Header that the proxy adds to its requests. If the proxy receives it, the proxy sends requests to itself."""

CONNECT_SECONDS = 5.0
POOL_SECONDS = 10.0

_SENT = frozenset("accept content-type idempotency-key openai-beta user-agent x-client-request-id".split())
"""Request headers that are forwarded to the LLM endpoint. The setting ``proxy_headers`` adds others."""
_CREDENTIALS = frozenset(["authorization", "api-key", "openai-organization", "openai-project"])
"""Headers with credentials for the LLM endpoint.

They are forwarded only if the settings contain no key for the LLM endpoint and the proxy itself requires no key.
"""
_NEVER_SENT = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    "upgrade host content-length accept-encoding expect x-api-key".split()
)
"""Headers that are never forwarded: headers of a single connection, and the header for keys of MemoryOS."""
_RETURNED = frozenset(
    "content-encoding content-length openai-model openai-processing-ms openai-version retry-after retry-after-ms "
    "x-request-id x-should-retry".split()
)
"""Reply headers that are forwarded to the client, in addition to rate limit headers. All others are dropped."""
_RETURNED_PREFIX = "x-ratelimit-"
_RETURNED_TYPES = ("application/json", "application/problem+json", "text/event-stream", "text/plain")
"""Content types that browsers do not execute as a web page. Replies of other types are sent as plain text."""
_MEMORYOS_KEY = re.compile(rb"\bmos_\w+")


class Upstream:
    """The LLM endpoint in the settings. Callers can't select another one.

    Args:
        config: Settings with the URL, the key and the maximum number of connections.
        timeout_seconds: Timeout for receiving the next data.
        further_headers: Names of additional request headers to forward.
    """

    def __init__(self, config: Config, timeout_seconds: float, further_headers: Iterable[str] = ()) -> None:
        self.config = config
        self._sent = (_SENT | {each.lower() for each in further_headers}) - _NEVER_SENT - _CREDENTIALS
        self._base_url = (config.openai_base_url or OPENAI).rstrip("/")
        self._is_configured = config.openai_base_url is not None or config.has_llm
        key = config.openai_api_key.get_secret_value().strip() if config.has_llm and config.openai_api_key else ""
        self._authorization = f"Bearer {key}".encode() if key else None
        count = config.llm_concurrency
        limits = httpx2.Limits(max_connections=count, max_keepalive_connections=count, keepalive_expiry=30.0)
        timeout = httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS, pool=POOL_SECONDS)
        self.client = httpx2.AsyncClient(limits=limits, timeout=timeout, follow_redirects=False)

    def headers(self, request: Request, caller: Caller) -> list[tuple[bytes, bytes]]:
        """Returns the request headers for the LLM endpoint.

        Raises:
            HTTPException: 508 if the LLM endpoint is this proxy itself; 401 if no LLM endpoint is configured and the
                request has no OpenAI key.
        """
        incoming = request.scope["headers"]
        if PASSED in dict(incoming):
            raise HTTPException(508, "the proxy would send the request to itself; correct the setting openai_base_url")
        headers = self._headers(incoming, are_keys_off=caller.key_id is None)
        if not self._is_configured and b"authorization" not in dict(headers):
            raise HTTPException(
                401, "no LLM endpoint is configured; set openai_api_key or openai_base_url, or send an OpenAI key"
            )
        return headers

    def request(
        self, request: Request, path: str, headers: list[tuple[bytes, bytes]], body: bytes | None = None
    ) -> httpx2.Request:
        """Returns the request to the LLM endpoint, with the query string of the incoming request.

        Args:
            request: The incoming request.
            path: Path to append to the base URL of the LLM endpoint.
            headers: The result of ``headers``.
            body: The body of the request.

        Raises:
            HTTPException: 400 if the URL is not valid.
        """
        query = request.scope["query_string"].decode("latin-1")
        url = f"{self._base_url}{path}?{query}" if query else f"{self._base_url}{path}"
        try:
            return httpx2.Request(request.method, url, headers=headers, content=body)
        except httpx2.InvalidURL as error:
            raise HTTPException(
                400, "the request's query string or the setting openai_base_url does not form a valid URL"
            ) from error

    def _headers(self, incoming: Iterable[tuple[bytes, bytes]], *, are_keys_off: bool) -> list[tuple[bytes, bytes]]:
        sent = self._sent | (_CREDENTIALS if are_keys_off and self._authorization is None else frozenset())
        passed_on = [
            (name, value)
            for name, value in incoming
            if (lower := _lower(name)) in sent and not lower.startswith(PREFIX) and not _MEMORYOS_KEY.search(value)
        ]
        own = [] if self._authorization is None else [(b"authorization", self._authorization)]
        return [*passed_on, *own, (b"accept-encoding", b"identity"), (PASSED, b"1")]


def returned_headers(incoming: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns those headers of a reply that are forwarded to the client.

    A content type that browsers could execute as a web page is replaced by plain text.
    """
    passed_on = []
    for name, value in incoming:
        lower = _lower(name)
        if lower == "content-type":
            kind = value.decode("latin-1").partition(";")[0].strip().lower()
            passed_on.append((name, value if kind in _RETURNED_TYPES else b"text/plain; charset=utf-8"))
        elif lower in _RETURNED or lower.startswith(_RETURNED_PREFIX):
            passed_on.append((name, value))
    return passed_on


def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()
