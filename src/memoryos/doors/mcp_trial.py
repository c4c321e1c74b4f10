"""A trial of the MCP server: it is started once as a client would start it, and asked what it offers."""

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
    """The server did not start, or does not work; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it.

    Attributes:
        seconds: From the start of the process until the tools were listed.
        tools: Names of the tools.
        analyst: Who would read and answer.
    """

    seconds: float
    tools: tuple[str, ...]
    analyst: str


def try_server(command: Sequence[str]) -> Trial:
    """Starts a server on a store of its own that is thrown away, lists the tools, calls one, and ends it.

    Args:
        command: The program and its arguments, as in the file of a client.

    Raises:
        TrialError: If any of that fails or takes a minute.
    """
    with temporary_folder() as folder:
        log = folder / "log"
        own = {"MEMORYOS_DATABASE_URL": f"sqlite:///{(folder / 'memoryos.db').as_posix()}"}
        try:
            with log.open("wb") as stderr:
                return _try(command, dict(os.environ) | own, stderr)
        except (OSError, ValueError, KeyError) as error:
            is_up = isinstance(error, BrokenPipeError) or not isinstance(error, OSError)
            says = f"it did not answer as a server of MCP ({error})" if is_up else str(error)
            raise TrialError(f"{says}{_end_of(log)}") from error


def _try(command: Sequence[str], environment: dict[str, str], stderr: IO[bytes]) -> Trial:
    started = time.monotonic()
    with subprocess.Popen(  # noqa: S603  (the program that a client would start)
        list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
    ) as server:
        watchdog = threading.Timer(TIMEOUT_SECONDS, server.kill)
        watchdog.start()
        try:
            _ask(server, "initialize", _HELLO)
            _send(server, {"method": "notifications/initialized"})
            tools = tuple(str(tool["name"]) for tool in _ask(server, "tools/list", {})["tools"])
            seconds = time.monotonic() - started
            stats = _ask(server, "tools/call", {"name": "memory_stats", "arguments": {}})
            if stats["isError"]:
                raise ValueError(stats["content"][0]["text"])
            return Trial(seconds, tools, str(stats["structuredContent"]["analyst"]))
        finally:
            watchdog.cancel()
            server.kill()


def _ask(server: subprocess.Popen[bytes], method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    _send(server, {"id": method, "method": method, "params": parameters})
    while line := server.stdout.readline() if server.stdout else b"":
        message = json.loads(line)
        if message.get("id") == method:
            result: dict[str, Any] = message["result"]
            return result
    raise ValueError("it said no more")


def _send(server: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    if server.stdin is not None:
        server.stdin.write(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n")
        server.stdin.flush()


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    told = [line.strip() for line in lines if line.strip()][-_LINES_SHOWN:]
    return f" ({' / '.join(told)})" if told else ""
