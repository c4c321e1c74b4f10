"""The endpoint behind the proxy: its address, its key, and which headers pass in either direction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2
from fastapi import HTTPException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from memoryos.config import Config
    from memoryos.doors.http.callers import Caller

__all__ = ["Upstream", "passing_headers"]

OPENAI = "https://api.openai.com/v1"
PASSED = b"x-memoryos-passed"
"""Marks what a proxy has sent, by which one that is its own endpoint notices."""

CONNECT_SECONDS = 5.0
POOL_SECONDS = 10.0

_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    "upgrade".split()
)
_OURS_IN_REQUESTS = frozenset(
    "host content-length accept-encoding cookie origin referer forwarded via x-real-ip x-api-key expect".split()
)
"""Made anew, or about the connection with us; ``x-api-key`` is where our own keys come in."""
_OURS_PREFIXES = ("x-memoryos-", "x-forwarded-", "sec-fetch-")
_OF_AN_ACCOUNT = frozenset(["authorization", "api-key", "openai-organization", "openai-project"])
"""Say who pays; the client's own pass only where the server has no key and asks for none."""
_OURS_IN_REPLIES = frozenset("date server set-cookie strict-transport-security alt-svc".split())
"""About the endpoint's own address, not about ours; so is what it allows pages of other origins."""
_OUR_KEY = re.compile(rb"\bmos_\w+")


class Upstream:
    """The endpoint of the settings. Who calls can't choose another one.

    Args:
        config: Address, key and number of connections.
        timeout_seconds: A call that is silent for so long has failed.
    """

    def __init__(self, config: Config, timeout_seconds: float) -> None:
        self.config = config
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
        ours = _OURS_IN_REQUESTS
        if not is_open or self._authorization is not None:
            ours = ours | _OF_AN_ACCOUNT
        kept = [
            (name, value) for name, value in passing_headers(given, ours, _OURS_PREFIXES) if not _OUR_KEY.search(value)
        ]
        own = [] if self._authorization is None else [(b"authorization", self._authorization)]
        return [*kept, *own, (b"accept-encoding", b"identity"), (PASSED, b"1")]


def passing_headers(
    given: Iterable[tuple[bytes, bytes]],
    ours: frozenset[str] = _OURS_IN_REPLIES,
    prefixes: tuple[str, ...] = ("access-control-", "x-memoryos-"),
) -> list[tuple[bytes, bytes]]:
    """Returns the headers that go on to the other side, as they are and in their order."""
    listed = list(given)
    named = {
        each.strip().lower()
        for name, value in listed
        if name.lower() == b"connection"
        for each in value.decode("latin-1").split(",")
    }
    stopped = _HOP_BY_HOP | ours | named
    return [
        (name, value)
        for name, value in listed
        if (lower := name.decode("latin-1").lower()) not in stopped and not lower.startswith(prefixes)
    ]
