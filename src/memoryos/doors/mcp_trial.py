"""A trial run of the MCP server: starts it as a client would, lists its tools, and calls one of them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from memoryos.errors import MemoryOSError
from memoryos.storage.scratch_dir import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Trial", "TrialError", "try_server"]

TIMEOUT_SECONDS = 60.0
_LINES_SHOWN = 3
_HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "memoryos doctor", "version": "1"},
}


class TrialError(MemoryOSError):
    """The MCP server did not start or did not answer. The message contains the last lines of the server's log."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a successful trial.

    Attributes:
        seconds: Time from the start of the server until it listed its tools.
        tools: Names of the tools.
        analyst: Name of the analyst (the LLM or local rules) that the server uses to read pages.
    """

    seconds: float
    tools: tuple[str, ...]
    analyst: str


def try_server(command: Sequence[str]) -> Trial:
    """Starts an MCP server on a temporary store, lists its tools, calls one tool, and stops the server.

    Args:
        command: The program and its arguments, as in a client's configuration.

    Raises:
        TrialError: If a step fails, or all steps take longer than TIMEOUT_SECONDS.
    """
    with temporary_folder() as folder:
        log = folder / "log"
        store = {"MEMORYOS_DATABASE_URL": f"sqlite:///{(folder / 'memoryos.db').as_posix()}"}
        try:
            with log.open("wb") as stderr:
                return _try(command, dict(os.environ) | store, stderr)
        except (OSError, ValueError, KeyError) as error:
            has_started = isinstance(error, BrokenPipeError) or not isinstance(error, OSError)
            reason = f"the process did not answer as an MCP server ({error})" if has_started else str(error)
            raise TrialError(f"{reason}{_end_of(log)}") from error


def _try(command: Sequence[str], environment: dict[str, str], stderr: IO[bytes]) -> Trial:
    started = time.monotonic()
    with subprocess.Popen(  # noqa: S603  (the program that a client would start)
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
    ) as server:
        timeout = threading.Timer(TIMEOUT_SECONDS, server.kill)
        timeout.start()
        try:
            _request(server, "initialize", _HELLO)
            _send(server, {"method": "notifications/initialized"})
            tools = tuple(str(tool["name"]) for tool in _request(server, "tools/list", {})["tools"])
            seconds = time.monotonic() - started
            stats = _request(server, "tools/call", {"name": "memory_stats", "arguments": {}})
            if stats["isError"]:
                raise ValueError(stats["content"][0]["text"])
            return Trial(seconds, tools, str(stats["structuredContent"]["analyst"]))
        finally:
            timeout.cancel()
            server.kill()


def _request(server: subprocess.Popen[bytes], method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Sends a request to the server, and returns the result from the server's reply."""
    _send(server, {"id": method, "method": method, "params": parameters})
    while line := server.stdout.readline() if server.stdout else b"":
        message = json.loads(line)
        if message.get("id") == method:
            result: dict[str, Any] = message["result"]
            return result
    raise ValueError("the server closed its stdout")


def _send(server: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    if server.stdin is not None:
        server.stdin.write(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n")
        server.stdin.flush()


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    last_lines = [line.strip() for line in lines if line.strip()][-_LINES_SHOWN:]
    return f" ({' / '.join(last_lines)})" if last_lines else ""
