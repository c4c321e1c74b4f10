"""A test client of the MCP server that records every line of its stdout."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SECONDS = 60.0
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def environment(**variables: str) -> dict[str, str]:
    """Returns the environment without the variables of MemoryOS and OpenAI, plus the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORYOS_", "OPENAI_"))}
    return kept | variables


def command(*options: object) -> list[str]:
    return [sys.executable, "-m", "memoryos", "mcp", *map(str, options)]


class LineClient:
    """Starts a server process and exchanges single lines with it; ``lines`` contains all lines of its stdout."""

    def __init__(
        self,
        folder: Path,
        *options: object,
        started_by: list[str] | None = None,
        variables: dict[str, str] | None = None,
        hello: dict[str, Any] = HELLO,
    ) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        self.log = folder / f"stderr-{id(self)}.txt"
        self.lines: list[bytes] = []
        self._queue: queue.Queue[bytes] = queue.Queue()
        self._count = 0
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                started_by or command(*options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=environment(**variables or {}),
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.ask("initialize", hello)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._queue.put(line)
        self._queue.put(b"")

    def send(self, message: dict[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        line = self._queue.get(timeout=SECONDS)
        assert line, f"the server closed stdout: {self.log.read_text()}"
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Sends a request and returns the complete answer, with its result or error."""
        self._count += 1
        self.send({"jsonrpc": "2.0", "id": self._count, "method": method, "params": parameters or {}})
        answer = self.receive()
        assert answer["id"] == self._count
        return answer

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Calls a tool and returns its result."""
        result: dict[str, Any] = self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]
        return result

    def structured(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = self.call(tool, **arguments)
        assert not result["isError"], result
        content: dict[str, Any] = result["structuredContent"]
        return content

    def failure(self, tool: str, **arguments: Any) -> str:
        result = self.call(tool, **arguments)
        assert result["isError"], result
        return str(result["content"][0]["text"])

    def end(self, *, signal: int | None = None) -> int:
        """Closes stdin or sends the signal, and returns the exit status of the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if signal is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(signal)
        try:
            status = self.process.wait(SECONDS)
        finally:
            self.process.kill()
        self._reader.join(SECONDS)
        self.process.stdin.close()
        self.process.stdout.close()
        return status

    def __enter__(self) -> LineClient:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.end()
