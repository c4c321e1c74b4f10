"""The command ``memoryos serve``: runs the HTTP server (REST API, OpenAI-compatible proxy, MCP and inspector)."""

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
@click.option("--host", help="Address to listen on; any other than loopback requires keys.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 selects a free port.  [default: 8078]")
@click.option(
    "--keys/--no-keys",
    default=None,
    help="Whether every request requires a key.  [default: unless the address is local and the store never had a key]",
)
@click.pass_obj
def serve(session: Session, host: str | None, port: int | None, keys: bool | None) -> None:
    """Run the HTTP server: REST API, OpenAI-compatible proxy, MCP and the inspector (a web page)."""
    from memoryos.doors.http.settings import ServerSettings  # noqa: PLC0415  (not needed by other commands)

    settings = ServerSettings(host=host, port=port, keys=keys)
    run_server(session, settings, lambda address: click.echo(f"MemoryOS listens on {address}"))


def run_server(session: Session, settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Runs the HTTP server with the options of a command line until a signal stops the server.

    Args:
        session: The global options of the command line.
        settings: The server's settings.
        announce: Called once with the server's address when the server accepts requests.

    Raises:
        ClickException: If the server can't listen on its address.
        ConfigError: If other machines could use the server without a key, or a setting is not valid.
    """
    from memoryos.doors.http.server_runner import run  # noqa: PLC0415  (not needed by other commands)

    with MemoryEngine(session.config()) as engine:
        with contextlib.suppress(EmbeddingError):  # an endpoint may recover; until then /readyz reports it
            engine.embedder.embed(["load the model"])
        if not run(engine, settings, announce):
            raise click.ClickException(
                f"can't listen on {settings.host}:{settings.port}; check the address, or choose a free port with --port"
            )
