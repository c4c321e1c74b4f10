"""Rate limits for each key, user and client address. Each server process counts only its own requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastapi import HTTPException

from memoryos.doors.http.addresses import rate_limit_name
from memoryos.doors.http.request_state import request_state
from memoryos.doors.http.token_bucket import Allowance, TokenBuckets

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection

    from memoryos.doors.http.caller import Caller
    from memoryos.doors.http.settings import ServerSettings

__all__ = ["RateLimiters"]


class RateLimiters:
    """Limits the rate of requests and of failed authentications.

    The class is not thread-safe. Use it only in the thread of the event loop.

    Args:
        settings: The limits.
        clock: Returns monotonic seconds.
    """

    def __init__(self, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_key = TokenBuckets(settings.key_requests_per_minute, clock)
        self._by_user = TokenBuckets(settings.user_requests_per_minute, clock)
        self._by_address = TokenBuckets(settings.address_requests_per_minute, clock)
        self._failures = TokenBuckets(settings.failed_keys_per_minute, clock)

    def count_address(self, connection: HTTPConnection, address: str) -> None:
        """Counts a request of a client address. Called before authentication.

        Raises:
            HTTPException: 429 if the address exceeds its rate limit.
        """
        _apply(connection, self._by_address.take(rate_limit_name(address)))

    def count(self, connection: HTTPConnection, caller: Caller) -> None:
        """Counts a request for the rate limits of its key and of the key's user.

        Raises:
            HTTPException: 429 if the key or the user exceeds its rate limit.
        """
        if caller.key_id is not None:
            _apply(connection, self._by_key.take(caller.key_id))
        if caller.user_id is not None:
            _apply(connection, self._by_user.take(caller.user_id))

    def count_failure(self, address: str) -> None:
        """Counts a request with an invalid key from a client address. The count never limits requests with valid keys.

        Raises:
            HTTPException: 429 if the address exceeds its limit of invalid keys.
        """
        allowance = self._failures.take(rate_limit_name(address))
        if allowance is not None and allowance.retry_seconds > 0:
            raise HTTPException(
                429,
                "too many invalid keys from this address; retry after the number of seconds in the Retry-After header",
                headers=allowance.headers,
            )


def _apply(connection: HTTPConnection, allowance: Allowance | None) -> None:
    """Stores the state of a rate limit for the response headers, or raises an error if the limit is exceeded."""
    if allowance is None:
        return
    if allowance.retry_seconds > 0:
        detail = "too many requests; retry after the number of seconds in the Retry-After header"
        raise HTTPException(429, detail, headers=allowance.headers)
    request_state(connection.scope).tighten(allowance)
