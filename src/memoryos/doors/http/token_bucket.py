"""Token buckets, one for each name, with the generic cell rate algorithm (GCRA, ATM Forum Traffic Management 4.0).

The algorithm stores only one number for each bucket: the time at which the bucket will be full again.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Allowance", "TokenBuckets"]

PERIOD_SECONDS = 60.0
_MAX_BUCKETS = 50_000
_ROUNDING = 1e-6
"""Tolerance for rounding errors of the clock's floating-point seconds."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The state of one bucket after a request.

    Attributes:
        limit: Size of the bucket: the maximum number of requests per minute.
        remaining: Number of requests that are allowed immediately.
        reset_seconds: Seconds until the bucket is full, if no further request arrives.
        retry_seconds: Seconds until the next request is allowed; 0 if this request was allowed.
    """

    limit: int
    remaining: int
    reset_seconds: float
    retry_seconds: float

    @property
    def headers(self) -> dict[str, str]:
        """The ``RateLimit-…`` response headers, with ``Retry-After`` if the request was refused."""
        headers = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset_seconds)),
        }
        if self.retry_seconds > 0:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_seconds)))
        return headers


class TokenBuckets:
    """Token buckets of the same size, one for each name. The least recently used buckets are removed.

    Args:
        requests_per_minute: Size of each bucket, and its refill per minute. None disables the limit.
        clock: Returns monotonic seconds.
    """

    def __init__(self, requests_per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = requests_per_minute
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def peek(self, name: str) -> Allowance | None:
        """Returns the state of a bucket without changing it; None if the limit is disabled."""
        return self._allowance(name, cost=0)

    def take(self, name: str) -> Allowance | None:
        """Takes one token from a bucket and returns the bucket's new state; None if the limit is disabled.

        If the bucket is empty, the request is refused and the bucket does not change.
        """
        return self._allowance(name, cost=1)

    def _allowance(self, name: str, cost: int) -> Allowance | None:
        if self._requests is None:
            return None
        now = self._clock()
        seconds_per_request = PERIOD_SECONDS / self._requests
        full_at = max(now, self._full_at.get(name, now))
        full_after_request = full_at + seconds_per_request
        excess = full_after_request - now - PERIOD_SECONDS
        if excess > _ROUNDING:
            return Allowance(self._requests, 0, full_at - now, excess)
        if cost:
            self._store(name, full_after_request)
            full_at = full_after_request
        remaining = math.floor((PERIOD_SECONDS - (full_at - now)) / seconds_per_request + _ROUNDING)
        return Allowance(self._requests, remaining, full_at - now, 0.0)

    def _store(self, name: str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > _MAX_BUCKETS:
            self._full_at.popitem(last=False)
