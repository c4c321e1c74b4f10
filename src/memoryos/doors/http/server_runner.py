"""Runs the HTTP server in the main thread until a signal arrives, then completes the open requests."""

from __future__ import annotations

import contextlib
import math
import signal
from typing import TYPE_CHECKING

import uvicorn

from memoryos.doors.http.app import build_app
from memoryos.doors.http.connection_limits import limited_protocol
from memoryos.doors.http.logs import configure_logs
from memoryos.doors.http.pauses import exclude_from_collection, shorten_thread_turns
from memoryos.doors.http.startup_checks import check_binding, warn_of_unused_keys
from memoryos.doors.http.tracing import start_tracing

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from memoryos.doors.http.server_state import ServerState
    from memoryos.doors.http.settings import ServerSettings
    from memoryos.engine import MemoryEngine

__all__ = ["run"]


def run(engine: MemoryEngine, settings: ServerSettings, announce: Callable[[str], None]) -> bool:
    """Runs the HTTP server until SIGTERM or SIGINT.

    After the signal, the server accepts no new requests and completes the open ones for at most ``drain_seconds``.

    Args:
        engine: The engine. The caller closes it.
        settings: The server's settings.
        announce: Called once with the server's address when the server accepts requests.

    Returns:
        Whether the server could listen on its address.

    Raises:
        ConfigError: As ``check_binding`` and ``start_tracing``.
    """
    check_binding(settings, engine)
    configure_logs(settings.log_level)
    warn_of_unused_keys(settings, engine)
    end_tracing = start_tracing()
    shorten_thread_turns()
    app = build_app(engine, settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=limited_protocol(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )
    uvicorn_server = _Server(config, app.state.memoryos, announce)
    # After shutdown uvicorn raises the signal again; the default handler would end the process without clean-up.
    previous_actions = {
        each: signal.signal(each, uvicorn_server.handle_exit) for each in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        with contextlib.suppress(SystemExit):  # raised by uvicorn if the address is in use
            uvicorn_server.run()
    finally:
        end_tracing()
        for each, action in previous_actions.items():
            signal.signal(each, action)
    return uvicorn_server.started


class _Server(uvicorn.Server):
    """A uvicorn server that reports its address after the start, and ends endless streams at shutdown."""

    def __init__(self, config: uvicorn.Config, server: ServerState, announce: Callable[[str], None]) -> None:
        super().__init__(config)
        self._server = server
        self._announce = announce

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._server.ending.set()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            exclude_from_collection()
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")
