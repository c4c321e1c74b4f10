"""The data that middleware, dependencies and routes share about one request."""

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
        allowance: The tightest rate limit that counted the request; its headers go into the response.
        affinity: Value of the response header ``MemoryOS-Affinity``.
        routed_scope: The ASGI scope that the router received; after routing it contains the matched route.
    """

    caller: Caller | None = None
    allowance: Allowance | None = None
    affinity: str | None = None
    routed_scope: MutableMapping[str, Any] | None = None

    def tighten(self, allowance: Allowance) -> None:
        """Stores an allowance if it leaves fewer requests than the one stored before."""
        if self.allowance is None or allowance.remaining < self.allowance.remaining:
            self.allowance = allowance


def request_state(scope: MutableMapping[str, Any]) -> RequestState:
    """Returns the state of the request with that ASGI scope; the first call creates it.

    Raises:
        ValueError: For a lifespan scope, whose state the server copies into every request.
    """
    if scope["type"] == "lifespan":
        raise ValueError("a lifespan scope has no request state")
    values: dict[str, RequestState] = scope.setdefault("state", {})
    return values.setdefault(_KEY, RequestState())
