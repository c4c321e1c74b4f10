"""What the requests of one server share: it stands in ``app.state.memoryos``."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from memoryos.doors.http.access import AccessPolicy
from memoryos.doors.http.addresses import ClientAddresses
from memoryos.doors.http.keyring import Keyring
from memoryos.doors.http.metrics import Metrics
from memoryos.doors.http.open_requests import OpenRequests
from memoryos.doors.http.rate_limits import RateLimiters

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.doors.http.settings import ServerSettings
    from memoryos.engine import MemoryEngine

__all__ = ["CurrentServer", "EngineSource", "ServerState", "server_state_of"]

LONG_WORK = 4
"""Imports, rebuilds and flushes at one time."""


class EngineSource:
    """The engine, opened once by whoever needs it first.

    Args:
        engine: The engine, which stays its owner's; or what opens it, and then ``close`` closes it.
    """

    def __init__(self, engine: MemoryEngine | Callable[[], MemoryEngine]) -> None:
        self._open: Callable[[], MemoryEngine] | None = engine if callable(engine) else None
        self._engine: MemoryEngine | None = None if callable(engine) else engine
        self._lock = threading.Lock()

    def __call__(self) -> MemoryEngine:
        """Returns the engine.

        Raises:
            MemoryOSError: If it can't be opened; the next call tries again.
        """
        engine = self._engine
        if engine is not None:
            return engine
        with self._lock:
            if self._engine is None:
                if self._open is None:
                    raise RuntimeError("the server has closed its engine")
                self._engine = self._open()
            return self._engine

    def close(self) -> None:
        """Closes the engine if it was opened here."""
        with self._lock:
            if self._open is not None and self._engine is not None:
                self._engine.close()
                self._open, self._engine = None, None


@dataclass(slots=True)
class ServerState:
    """What the requests of one server share.

    Attributes:
        engine: Returns the engine.
        settings: Those of the server.
        ending: Is set when the server is told to end: streams that would go on for ever end then.
        long_work: Lets a few at a time do what may take minutes, so that the others find a thread.
        addresses: Finds the address of a request's client.
        keyring: Finds the keys of callers.
        access: Decides whether a request needs a key.
        rates: Counts requests and refuses those that are too many.
        open_requests: Counts the open requests of each key and ends those whose key was revoked.
        metrics: Takes down requests, and tells Prometheus.
    """

    engine: EngineSource
    settings: ServerSettings
    ending: threading.Event = field(default_factory=threading.Event)
    long_work: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(LONG_WORK))
    addresses: ClientAddresses = field(init=False)
    keyring: Keyring = field(init=False)
    access: AccessPolicy = field(init=False)
    rates: RateLimiters = field(init=False)
    open_requests: OpenRequests = field(init=False)
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.addresses = ClientAddresses(self.settings.trusted_proxies)
        self.keyring = Keyring(self.engine)
        self.access = AccessPolicy(self.engine, self.settings, self.keyring.limiter)
        self.rates = RateLimiters(self.settings)
        self.open_requests = OpenRequests(self.settings.key_open_requests)
        self.metrics = Metrics(self.engine)


async def server_state_of(request: Request) -> ServerState:
    """Returns what the server of this request holds."""
    server: ServerState = request.app.state.memoryos
    return server


CurrentServer = Annotated[ServerState, Depends(server_state_of)]
