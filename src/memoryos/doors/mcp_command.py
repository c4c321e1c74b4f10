"""``memoryos mcp``: reads its options, then serves; nothing else is imported before the handshake."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from memoryos.config import Config
    from memoryos.engine import MemoryEngine

__all__ = ["mcp"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@click.command()
@click.option("--user", help="Whose memory, unless a call says so.  [default: as the settings say]")
@click.option("--assistant", help="With which assistant.  [default: as the settings say]")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the store.  [default: as the settings say]")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="JSON file with settings.")
@click.option("--http", is_flag=True, help="Serve streamable HTTP instead of stdio.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address for HTTP; only this machine's own.")
@click.option("--port", default=8077, show_default=True, help="Port for HTTP.")
@click.option("-v", "--verbose", is_flag=True, help="Log to stderr.")
def mcp(
    user: str | None,
    assistant: str | None,
    data: Path | None,
    config_file: Path | None,
    http: bool,
    host: str,
    port: int,
    verbose: bool,
) -> None:
    """Serve the memory to an MCP client, over stdio or HTTP."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO if verbose else logging.WARNING)
    if http and host not in LOOPBACK:
        raise click.ClickException(
            f"--host {host}: other machines would need no key; only {', '.join(sorted(LOOPBACK))}"
        )
    from memoryos.doors.mcp_server import Connection, build_server  # noqa: PLC0415  (imports the MCP SDK)

    given: dict[str, Any] = {"user_id": user, "assistant_id": assistant, "data_storage_path": data}

    def settings() -> Config:
        from memoryos.config import Config  # noqa: PLC0415  (beside the handshake, as all of the engine)

        return Config.load(config_file, **given)

    def open_engine() -> MemoryEngine:
        from memoryos.engine import MemoryEngine  # noqa: PLC0415

        engine = MemoryEngine(settings())
        engine.embedder.embed(["the first call loads the model"])
        return engine

    server = build_server(Connection(open_engine))
    if http:
        server.run("streamable-http", host=host, port=port)
    else:
        server.run("stdio")
