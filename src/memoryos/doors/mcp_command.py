"""The command ``memoryos mcp``: runs the MCP server.

The functions import most modules only when they need them, so that the server answers the client's handshake sooner.
Imports at the top of the file would work, too.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.types import JSONRPCError

    from memoryos.engine import MemoryEngine

__all__ = ["mcp"]

_log = logging.getLogger(__name__)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@click.command()
@click.option("--user", help="User of the memory if a call names no user.  [default: from the settings]")
@click.option("--assistant", help="The same for the assistant.  [default: from the settings]")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database.  [default: from the settings]")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="JSON file with settings.")
@click.option("--http", is_flag=True, help="Serve streamable HTTP instead of stdio.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address for HTTP.")
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
    """Run the MCP server, which gives MCP clients access to the memory, over stdio or HTTP."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO if verbose else logging.WARNING)
    if http and host not in LOOPBACK:
        raise click.ClickException(
            f"--host {host} would let other machines use the memory without a key; use one of the hosts "
            f"{', '.join(sorted(LOOPBACK))}, or run memoryos serve, which supports keys"
        )
    gc.disable()  # saves 0.1 s while about a thousand modules are imported; open_engine enables it again
    from memoryos.doors.mcp_connection import Connection  # noqa: PLC0415  (imports the MCP SDK)
    from memoryos.doors.mcp_server import build_server  # noqa: PLC0415  (imports the MCP SDK)
    from memoryos.models.mcp_sampling import ClientModel  # noqa: PLC0415  (imports the MCP SDK)

    options: dict[str, Any] = {"user_id": user, "assistant_id": assistant, "data_storage_path": data}
    client_model = None if http else ClientModel()

    def open_engine() -> MemoryEngine:
        from memoryos.assembly import build_analyst, build_llm_analyst  # noqa: PLC0415  (imported during the handshake)
        from memoryos.config import Config  # noqa: PLC0415  (same reason)
        from memoryos.engine import MemoryEngine  # noqa: PLC0415  (same reason)

        try:
            config = Config.load(config_file, **options)
            analyst = fallback = None
            if client_model and config.mcp_sampling and not config.has_llm and client_model.is_offered():
                client_model.timeout_seconds = config.llm_timeout_seconds
                analyst, fallback = build_llm_analyst(client_model, config), build_analyst(config, "local")
            engine = MemoryEngine(config, analyst=analyst, fallback_analyst=fallback)
            gc.freeze()
            return engine
        finally:
            gc.enable()

    server = build_server(Connection(open_engine, client_model))
    if http:
        server.run("streamable-http", host=host, port=port)
    else:
        import anyio  # noqa: PLC0415  (only for stdio)

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a normal exit would wait for the thread that reads stdin
        anyio.run(_serve_stdio, server)


async def _serve_stdio(server: MCPServer[None]) -> None:
    """Serves a client over stdin and stdout, and answers every invalid line with an error.

    ``server.run("stdio")`` would ignore an invalid line, and the client would wait for an answer forever.
    """
    from anyio import create_memory_object_stream, create_task_group, get_cancelled_exc_class  # noqa: PLC0415  (only for stdio)
    from mcp.server.stdio import stdio_server  # noqa: PLC0415  (only for stdio)

    inner = server._lowlevel_server  # noqa: SLF001  (the SDK has no public method to serve on custom streams)
    valid_sender, valid_receiver = create_memory_object_stream[Any](0)
    async with stdio_server() as (incoming, outgoing), create_task_group() as tasks:
        tasks.start_soon(_forward_valid, incoming, valid_sender, outgoing)
        try:
            await inner.run(valid_receiver, outgoing, inner.create_initialization_options())
        except get_cancelled_exc_class():
            _log.warning("the client closed the server's stdout; the server stops")
            os._exit(0)  # the engine is closed; a normal exit would wait for the thread that reads stdin
        tasks.cancel_scope.cancel()


async def _forward_valid(incoming: Any, valid_sender: Any, outgoing: Any) -> None:
    """Forwards valid messages to the server, and answers each invalid line with an error on ``outgoing``."""
    from mcp.shared.message import SessionMessage  # noqa: PLC0415  (imports the MCP SDK)

    async with valid_sender:
        async for message in incoming:
            if not isinstance(message, Exception):
                await valid_sender.send(message)
            elif (answer := _error_answer(message)) is not None:
                await outgoing.send(SessionMessage(answer))


def _error_answer(error: Exception) -> JSONRPCError | None:
    """Returns the JSON-RPC error for a line that is not a valid message; None for a blank line."""
    from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError  # noqa: PLC0415  (imports the MCP SDK)
    from pydantic import ValidationError  # noqa: PLC0415  (imported with the MCP SDK)

    faults = error.errors(include_url=False) if isinstance(error, ValidationError) else []
    line = next((each["input"] for each in faults if each["type"] == "json_invalid"), None)
    if line is not None and not line.strip():
        return None
    if line is None:
        request: Any = next((each["input"] for each in faults if isinstance(each["input"], dict)), None)
        code, message = INVALID_REQUEST, "the message is not a JSON-RPC request"
    else:
        request = _parse_leniently(line)
        code, message = PARSE_ERROR, f"{faults[0]['msg']}; send valid JSON (a lone surrogate is not valid)"
    request_id = request.get("id") if isinstance(request, dict) else None
    is_valid_id = isinstance(request_id, (int, str)) and not isinstance(request_id, bool)
    return JSONRPCError(
        jsonrpc="2.0", id=request_id if is_valid_id else None, error=ErrorData(code=code, message=message)
    )


def _parse_leniently(line: str) -> Any:
    """Parses a line with Python's JSON parser, which is less strict than the SDK's; None if it fails.

    The error answer to an invalid line contains the request id that this parser finds.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
