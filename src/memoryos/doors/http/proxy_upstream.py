"""The endpoint behind the proxy: its address, its key, and which headers go on in either direction."""

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
"""Marks a request of a proxy, so that a proxy that is its own endpoint detects the loop."""

CONNECT_SECONDS = 5.0
POOL_SECONDS = 10.0

_SENT = frozenset("accept content-type idempotency-key openai-beta user-agent x-client-request-id".split())
"""Headers of a request that go on to the endpoint; ``proxy_headers`` of the settings adds others."""
_OF_AN_ACCOUNT = frozenset(["authorization", "api-key", "openai-organization", "openai-project"])
"""Headers that name an account; the client's own go on only if the server has no key and requires none."""
_NEVER_SENT = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    "upgrade host content-length accept-encoding expect x-api-key".split()
)
"""Headers of one connection, and the one that our keys arrive in; the settings can't add them."""
_RETURNED = frozenset(
    "content-encoding content-length openai-model openai-processing-ms openai-version retry-after retry-after-ms "
    "x-request-id x-should-retry".split()
)
"""Headers of a reply that go on to the client, with those of rate limits. All others on the response are ours."""
_RETURNED_PREFIX = "x-ratelimit-"
_RETURNED_TYPES = ("application/json", "application/problem+json", "text/event-stream", "text/plain")
"""Content types that no browser runs as a page of ours; any other reply is sent as plain text."""
_OUR_KEY = re.compile(rb"\bmos_\w+")


class Upstream:
    """The endpoint of the settings. Who calls can't choose another one.

    Args:
        config: Address, key and number of connections.
        timeout_seconds: A call that is silent for so long has failed.
        further_headers: Names of request headers that go on beside the usual ones.
    """

    def __init__(self, config: Config, timeout_seconds: float, further_headers: Iterable[str] = ()) -> None:
        self.config = config
        self._sent = (_SENT | {each.lower() for each in further_headers}) - _NEVER_SENT - _OF_AN_ACCOUNT
        self._base_url = (config.openai_base_url or OPENAI).rstrip("/")
        self._is_set = config.openai_base_url is not None or config.has_llm
        key = config.openai_api_key.get_secret_value().strip() if config.has_llm and config.openai_api_key else ""
        self._authorization = f"Bearer {key}".encode() if key else None
        count = config.llm_concurrency
        limits = httpx2.Limits(max_connections=count, max_keepalive_connections=count, keepalive_expiry=30.0)
        timeout = httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS, pool=POOL_SECONDS)
        self.client = httpx2.AsyncClient(limits=limits, timeout=timeout, follow_redirects=False)

    def headers(self, request: Request, caller: Caller) -> list[tuple[bytes, bytes]]:
        """Returns the headers that go to the endpoint for a request of ours.

        Raises:
            HTTPException: 508 if the endpoint is this server, 401 if nothing says which endpoint to ask with which key.
        """
        given = request.scope["headers"]
        if PASSED in dict(given):
            raise HTTPException(508, "the endpoint behind the proxy is a proxy: check openai_base_url")
        headers = self._headers(given, is_open=caller.key_id is None)
        if not self._is_set and b"authorization" not in dict(headers):
            raise HTTPException(
                401, "no endpoint is set: set openai_api_key or openai_base_url, or send a key of OpenAI"
            )
        return headers

    def request(
        self, request: Request, path: str, headers: list[tuple[bytes, bytes]], body: bytes | None = None
    ) -> httpx2.Request:
        """Returns what goes to the endpoint: the query of a request goes on, its address does not.

        Args:
            request: What came in.
            path: The path behind the endpoint's address.
            headers: What ``headers`` returned.
            body: What to send.

        Raises:
            HTTPException: 400 if that is no address.
        """
        query = request.scope["query_string"].decode("latin-1")
        url = f"{self._base_url}{path}?{query}" if query else f"{self._base_url}{path}"
        try:
            return httpx2.Request(request.method, url, headers=headers, content=body)
        except httpx2.InvalidURL as error:
            raise HTTPException(400, "the query, or openai_base_url, is no part of an address") from error

    def _headers(self, given: Iterable[tuple[bytes, bytes]], *, is_open: bool) -> list[tuple[bytes, bytes]]:
        sent = self._sent | (_OF_AN_ACCOUNT if is_open and self._authorization is None else frozenset())
        kept = [
            (name, value)
            for name, value in given
            if (lower := _lower(name)) in sent and not lower.startswith(PREFIX) and not _OUR_KEY.search(value)
        ]
        own = [] if self._authorization is None else [(b"authorization", self._authorization)]
        return [*kept, *own, (b"accept-encoding", b"identity"), (PASSED, b"1")]


def returned_headers(given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns the headers of the endpoint's reply that go on to the client, in their order.

    A content type that a browser might show as a page becomes plain text.
    """
    kept = []
    for name, value in given:
        lower = _lower(name)
        if lower == "content-type":
            kind = value.decode("latin-1").partition(";")[0].strip().lower()
            kept.append((name, value if kind in _RETURNED_TYPES else b"text/plain; charset=utf-8"))
        elif lower in _RETURNED or lower.startswith(_RETURNED_PREFIX):
            kept.append((name, value))
    return kept


def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()
