"""Data that the middleware, the dependencies and the route of one request share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memoryos.doors.http.token_bucket import Allowance

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from memoryos.doors.http.caller import Caller

__all__ = ["RequestState", "request_state"]

_KEY = "memoryos"


@dataclass(slots=True)
class RequestState:
    """The state of one request. All fields are initially empty.

    Attributes:
        caller: The authenticated caller.
        allowance: State of the rate limit with the fewest remaining requests; reported in response headers.
        affinity: Value of the response header ``MemoryOS-Affinity``.
        routed_scope: The ASGI scope that the router received. After routing, the scope contains the matched route.
    """

    caller: Caller | None = None
    allowance: Allowance | None = None
    affinity: str | None = None
    routed_scope: MutableMapping[str, Any] | None = None

    def tighten(self, allowance: Allowance) -> None:
        """Stores the state of a rate limit if it has fewer remaining requests than the stored one."""
        if self.allowance is None or allowance.remaining < self.allowance.remaining:
            self.allowance = allowance


def request_state(scope: MutableMapping[str, Any]) -> RequestState:
    """Returns the state of the request that an ASGI scope describes. The first call for a scope creates the state.

    Raises:
        ValueError: If the scope is a lifespan scope, which belongs to the server and not to a request.
    """
    if scope["type"] == "lifespan":
        raise ValueError("an ASGI scope of type 'lifespan' has no request state; pass the scope of a request")
    values: dict[str, RequestState] = scope.setdefault("state", {})
    return values.setdefault(_KEY, RequestState())
