"""How many requests a key, a user and an address may send.

The generic cell rate algorithm, of the ATM Forum: one number for each caller says when its bucket will be full again.
No thread and no clock of the wall; what is kept is bounded. Each process counts for itself.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import HTTPException

from memoryos.doors.http.addresses import rate_limit_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection

    from memoryos.doors.http.authentication import Caller
    from memoryos.doors.http.settings import ServerSettings

__all__ = ["Allowance", "Limit", "RateLimiters"]

PERIOD_SECONDS = 60.0
_CALLERS_KEPT = 50_000
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller may still send.

    Attributes:
        limit: Requests in a minute.
        remaining: Requests that may come at once now.
        reset_seconds: After so long without a request it is the whole limit again.
        retry_seconds: After so long one more is allowed; 0 if it was allowed now.
    """

    limit: int
    remaining: int
    reset_seconds: float
    retry_seconds: float

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell the caller."""
        told = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset_seconds)),
        }
        return told | ({"Retry-After": str(max(1, math.ceil(self.retry_seconds)))} if self.retry_seconds > 0 else {})


class Limit:
    """So many requests a minute for each name, all at once or spread.

    Args:
        requests: Of one name in a minute; None for any number.
        clock: Returns seconds that never go back.
    """

    def __init__(self, requests: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = requests
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def look(self, name: str) -> Allowance | None:
        """Returns what the name may still send, without counting; None if there is no limit."""
        return self._allowance(name, cost=0)

    def count(self, name: str) -> Allowance | None:
        """Counts a request and returns what the name may still send; one that is too many is not counted."""
        return self._allowance(name, cost=1)

    def _allowance(self, name: str, cost: int) -> Allowance | None:
        if self._requests is None:
            return None
        now = self._clock()
        each = PERIOD_SECONDS / self._requests
        full_at = max(now, self._full_at.get(name, now))
        after = full_at + each
        over = after - now - PERIOD_SECONDS
        if over > _ROUNDING:
            return Allowance(self._requests, 0, full_at - now, over)
        if cost:
            self._keep(name, after)
            full_at = after
        left = math.floor((PERIOD_SECONDS - (full_at - now)) / each + _ROUNDING)
        return Allowance(self._requests, left, full_at - now, 0.0)

    def _keep(self, name: str, full_at: float) -> None:
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > _CALLERS_KEPT:
            self._full_at.popitem(last=False)


class RateLimiters:
    """Limits requests and failed authentications; used by the thread of the event loop only.

    Args:
        settings: The limits.
        clock: Returns monotonic seconds.
    """

    def __init__(self, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._of_key = Limit(settings.key_requests_per_minute, clock)
        self._of_user = Limit(settings.user_requests_per_minute, clock)
        self._of_address = Limit(settings.address_requests_per_minute, clock)
        self._failures = Limit(settings.failed_keys_per_minute, clock)

    def count_address(self, connection: HTTPConnection, address: str) -> None:
        """Counts a request of an address, before anything is known of its caller.

        Raises:
            HTTPException: 429 if it is too many.
        """
        _settle(connection, self._of_address.count(rate_limit_name(address)))

    def count(self, connection: HTTPConnection, caller: Caller) -> None:
        """Counts a request of a key and of its user.

        Raises:
            HTTPException: 429 if it is too many of one of them.
        """
        if caller.key_id is not None:
            _settle(connection, self._of_key.count(caller.key_id))
        if caller.user_id is not None:
            _settle(connection, self._of_user.count(caller.user_id))

    def count_failure(self, address: str) -> None:
        """Counts an invalid key of an address. It never delays or refuses a valid key.

        Raises:
            HTTPException: 429 if it is too many.
        """
        allowance = self._failures.count(rate_limit_name(address))
        if allowance is not None and allowance.retry_seconds > 0:
            raise HTTPException(429, "too many keys from this address were not valid", headers=allowance.headers)


def _settle(connection: HTTPConnection, allowance: Allowance | None) -> None:
    if allowance is None:
        return
    if allowance.retry_seconds > 0:
        raise HTTPException(429, "too many requests", headers=allowance.headers)
    known: Allowance | None = getattr(connection.state, "memoryos_allowance", None)
    if known is None or allowance.remaining < known.remaining:
        connection.state.memoryos_allowance = allowance
