"""The state that all requests of one HTTP server share. It is stored in ``app.state.memoryos``."""

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

MAX_LONG_TASKS = 4
"""Maximum number of long tasks (imports, rebuilds and flushes) that run at the same time."""


class EngineSource:
    """Provides the memory engine of the server, and opens it at the first call if necessary.

    Args:
        engine: An open engine, or a function that opens an engine. ``close`` closes only an engine that this function
            opened.
    """

    def __init__(self, engine: MemoryEngine | Callable[[], MemoryEngine]) -> None:
        self._open: Callable[[], MemoryEngine] | None = engine if callable(engine) else None
        self._engine: MemoryEngine | None = None if callable(engine) else engine
        self._lock = threading.Lock()

    def __call__(self) -> MemoryEngine:
        """Returns the engine.

        Raises:
            MemoryOSError: If the engine can't be opened; the next call tries again.
            RuntimeError: After ``close``.
        """
        engine = self._engine
        if engine is not None:
            return engine
        with self._lock:
            if self._engine is None:
                if self._open is None:
                    raise RuntimeError("the server's engine is closed; start the server again")
                self._engine = self._open()
            return self._engine

    def close(self) -> None:
        """Closes the engine if this object opened it."""
        with self._lock:
            if self._open is not None and self._engine is not None:
                self._engine.close()
                self._open, self._engine = None, None


@dataclass(slots=True)
class ServerState:
    """The state that all requests of one HTTP server share.

    Attributes:
        engine: Returns the memory engine.
        settings: The server's settings.
        ending: Event that is set when the server shuts down; endless streams then end.
        long_work: Limits the threads of long tasks, so that other requests find a free thread.
        addresses: Finds the client address of a request.
        keyring: Looks up API keys.
        access: Decides whether a request requires a key.
        rates: Limits requests per key, user and address.
        open_requests: Counts the open requests of each key, and ends the requests of revoked keys.
        metrics: Records request latencies and exports Prometheus metrics.
    """

    engine: EngineSource
    settings: ServerSettings
    ending: threading.Event = field(default_factory=threading.Event)
    long_work: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAX_LONG_TASKS))
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
    """Returns the state of the server that received a request."""
    server: ServerState = request.app.state.memoryos
    return server


CurrentServer = Annotated[ServerState, Depends(server_state_of)]
"""Route parameter: the state of the server."""
