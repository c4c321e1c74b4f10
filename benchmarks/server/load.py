"""A load generator with little overhead. Each connection sends its next request when it has received a response."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Ask:
    """A request to send: its kind, path and JSON body."""

    kind: str
    path: str
    body: dict[str, Any]

    def encoded(self) -> bytes:
        """Returns the request as bytes."""
        body = json.dumps(self.body).encode()
        head = f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body


@dataclass(frozen=True)
class Answered:
    """A received response: kind of its request, status, and latency in seconds."""

    kind: str
    status: int
    seconds: float


def load(port: int, asks: Iterator[Ask], *, connections: int, seconds: float) -> tuple[list[Answered], float]:
    """Sends requests over several connections for some seconds. Returns the responses and the actual duration."""
    return asyncio.run(_load(port, asks, connections, seconds))


async def _load(port: int, asks: Iterator[Ask], connections: int, seconds: float) -> tuple[list[Answered], float]:
    answers: list[Answered] = []
    started = time.perf_counter()
    deadline = started + seconds
    await asyncio.gather(*(_ask_on(port, asks, answers, deadline) for _ in range(connections)))
    return answers, time.perf_counter() - started


async def _ask_on(port: int, asks: Iterator[Ask], answers: list[Answered], deadline: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < deadline:
            ask = next(asks)
            began = time.perf_counter()
            writer.write(ask.encoded())
            status = await _status(reader)
            answers.append(Answered(ask.kind, status, time.perf_counter() - began))
    finally:
        writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1])
