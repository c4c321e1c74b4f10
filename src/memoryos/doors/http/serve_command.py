"""``memoryos serve``: REST, the OpenAI-compatible proxy, MCP over HTTP and the inspector, until a signal ends it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from memoryos.engine import MemoryEngine
from memoryos.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from memoryos.doors.http.settings import ServerSettings
    from memoryos.doors.session import Session

__all__ = ["run_server", "serve"]


@click.command()
@click.option("--host", help="Address to listen on; any but this machine's needs keys.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 takes a free one.  [default: 8078]")
@click.option(
    "--keys/--no-keys",
    default=None,
    help="Whether every request needs a key.  [default: unless local and the store never had a key]",
)
@click.pass_obj
def serve(session: Session, host: str | None, port: int | None, keys: bool | None) -> None:
    """Serve REST, an OpenAI-compatible proxy, MCP over HTTP and the inspector."""
    from memoryos.doors.http.settings import ServerSettings  # noqa: PLC0415  (other commands need no web server)

    settings = ServerSettings(host=host, port=port, keys=keys)
    run_server(session, settings, lambda address: click.echo(f"MemoryOS listens on {address}"))


def run_server(session: Session, settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Serves the memory of a command line until a signal ends it.

    Args:
        session: The command line's settings.
        settings: Those of the server.
        announce: Called once with the address when requests can come.

    Raises:
        ClickException: If it can't listen there.
        ConfigError: If other machines could reach it without a key, or a setting can't be used.
    """
    from memoryos.doors.http.server_runner import run  # noqa: PLC0415  (other commands need no web server)

    with MemoryEngine(session.config()) as engine:
        with contextlib.suppress(EmbeddingError):  # an endpoint may come back; /readyz says so until then
            engine.embedder.embed(["the first call loads the model"])
        if not run(engine, settings, announce):
            raise click.ClickException(f"can't listen on {settings.host}:{settings.port}")
