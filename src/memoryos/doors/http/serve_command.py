"""``memoryos serve``: the REST API, the OpenAI-compatible proxy and MCP over HTTP, until it is told to end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from memoryos.engine import MemoryEngine
from memoryos.errors import EmbeddingError

if TYPE_CHECKING:
    from memoryos.doors.session import Session

__all__ = ["serve"]


@click.command()
@click.option("--host", help="Address to listen on; others than this machine's need keys.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 takes a free one.  [default: 8078]")
@click.option("--keys/--no-keys", default=None, help="Whether every request needs a key.  [default: unless local]")
@click.pass_obj
def serve(session: Session, host: str | None, port: int | None, keys: bool | None) -> None:
    """Serve REST, an OpenAI-compatible proxy and MCP over HTTP."""
    from memoryos.doors.http.running import run  # noqa: PLC0415  (other commands need no web server)
    from memoryos.doors.http.settings import ServerSettings  # noqa: PLC0415

    settings = ServerSettings(host=host, port=port, keys=keys)
    with MemoryEngine(session.config()) as engine:
        with contextlib.suppress(EmbeddingError):  # an endpoint may come back; /readyz says so until then
            engine.embedder.embed(["the first call loads the model"])
        if not run(engine, settings, lambda address: click.echo(f"MemoryOS listens on {address}")):
            raise click.ClickException(f"can't listen on {settings.host}:{settings.port}")
