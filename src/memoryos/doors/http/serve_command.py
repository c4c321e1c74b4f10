"""``memoryos serve``: the REST API, the OpenAI-compatible proxy and MCP over HTTP, until it is told to end."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import click
import uvicorn

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.errors import EmbeddingError

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from memoryos.doors.http.serving import Serving
    from memoryos.doors.session import Session

__all__ = ["serve"]


class _Server(uvicorn.Server):
    """Says where it listens, and ends streams that would go on for ever when it is told to end."""

    def __init__(self, config: uvicorn.Config, serving: Serving) -> None:
        super().__init__(config)
        self._serving = serving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._serving.ending.set()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            click.echo(f"MemoryOS listens on http://{f'[{host}]' if ':' in host else host}:{port}")


@click.command()
@click.option("--host", help="Address to listen on; others than this machine's need keys.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 takes a free one.  [default: 8078]")
@click.option("--keys/--no-keys", default=None, help="Whether every request needs a key.  [default: unless local]")
@click.pass_obj
def serve(session: Session, host: str | None, port: int | None, keys: bool | None) -> None:
    """Serve REST, an OpenAI-compatible proxy and MCP over HTTP."""
    settings = ServerSettings(host=host, port=port, keys=keys)
    with MemoryEngine(session.config()) as engine:
        with contextlib.suppress(EmbeddingError):  # an endpoint may come back; /readyz says so until then
            engine.embedder.embed(["the first call loads the model"])
        app = build_app(engine, settings)
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        )
        server = _Server(config, app.state.memoryos)
        server.run()
    if not server.started:
        raise click.ClickException(f"can't listen on {settings.host}:{settings.port}")
