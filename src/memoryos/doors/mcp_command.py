"""``memoryos mcp``: reads its options, then serves; nothing else is imported before the handshake."""

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

    from memoryos.config import Config
    from memoryos.engine import MemoryEngine

__all__ = ["mcp"]

_log = logging.getLogger(__name__)

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
    gc.disable()  # a tenth of a second among a thousand modules that load, for nothing
    from memoryos.doors.mcp_connection import Connection  # noqa: PLC0415  (with the MCP SDK)
    from memoryos.doors.mcp_server import build_server  # noqa: PLC0415
    from memoryos.models.mcp_sampling import ClientModel  # noqa: PLC0415

    given: dict[str, Any] = {"user_id": user, "assistant_id": assistant, "data_storage_path": data}

    def settings() -> Config:
        from memoryos.config import Config  # noqa: PLC0415  (beside the handshake, as all of the engine)

        return Config.load(config_file, **given)

    client_model = None if http else ClientModel()

    def open_engine() -> MemoryEngine:
        from memoryos.assembly import build_analyst, build_llm_analyst  # noqa: PLC0415
        from memoryos.engine import MemoryEngine  # noqa: PLC0415

        try:
            config = settings()
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
        import anyio  # noqa: PLC0415  (with the MCP SDK)

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread that reads stdin would hold up any other end
        anyio.run(_serve_stdio, server)


async def _serve_stdio(server: MCPServer[None]) -> None:
    """As ``server.run("stdio")``, which drops a line that it can't read while its sender waits for an answer."""
    from anyio import create_memory_object_stream, create_task_group, get_cancelled_exc_class  # noqa: PLC0415  (with the MCP SDK)
    from mcp.server.stdio import stdio_server  # noqa: PLC0415

    inner = server._lowlevel_server  # noqa: SLF001  (the SDK has no other way to serve on streams of one's own)
    passing, readable = create_memory_object_stream[Any](0)
    async with stdio_server() as (received, sent), create_task_group() as tasks:
        tasks.start_soon(_pass_on, received, passing, sent)
        try:
            await inner.run(readable, sent, inner.create_initialization_options())
        except get_cancelled_exc_class():
            _log.warning("nobody reads what the server says any more; it ends")
            os._exit(0)  # the engine is closed; the thread that reads stdin would hold up any other end
        tasks.cancel_scope.cancel()


async def _pass_on(received: Any, passing: Any, sent: Any) -> None:
    from mcp.shared.message import SessionMessage  # noqa: PLC0415

    async with passing:
        async for message in received:
            if not isinstance(message, Exception):
                await passing.send(message)
            elif (refusal := _refusal(message)) is not None:
                await sent.send(SessionMessage(refusal))


def _refusal(error: Exception) -> JSONRPCError | None:
    """Returns the answer to a line that is no message; a blank line needs none."""
    from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError  # noqa: PLC0415
    from pydantic import ValidationError  # noqa: PLC0415

    faults = error.errors(include_url=False) if isinstance(error, ValidationError) else []
    line = next((each["input"] for each in faults if each["type"] == "json_invalid"), None)
    if line is not None and not line.strip():
        return None
    if line is None:
        sent: Any = next((each["input"] for each in faults if isinstance(each["input"], dict)), None)
        code, message = INVALID_REQUEST, "this is no JSON-RPC request"
    else:
        sent = _loosely_read(line)
        code, message = PARSE_ERROR, f"{faults[0]['msg']}; half an emoji (a lone surrogate) is no JSON either"
    number = sent.get("id") if isinstance(sent, dict) else None
    known = isinstance(number, (int, str)) and not isinstance(number, bool)
    return JSONRPCError(jsonrpc="2.0", id=number if known else None, error=ErrorData(code=code, message=message))


def _loosely_read(line: str) -> Any:
    """Reads what Python takes for JSON, lone surrogates too: whoever sent it waits for an answer with its id."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
