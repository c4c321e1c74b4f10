"""A scripted LLM endpoint, and a function that serves an application on a port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.waiting import TIMEOUT_SECONDS, wait_until

Piece = bytes | threading.Event


@dataclass(frozen=True)
class Received:
    """A request that the endpoint received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Scripted:
    """A scripted reply: its bytes in pieces. At an event, sending waits until the event is set."""

    pieces: list[Piece]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    is_truncated: bool = False
    has_content_length: bool = False


def sse(*events: Any) -> list[Piece]:
    return [b"data: " + (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n\n" for each in events]


def delta(content: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    said = more if content is None else {"content": content, **more}
    return {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": index, "delta": said, "finish_reason": finish}],
    }  # fmt: skip


def completion(content: str | None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more}
    return {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }  # fmt: skip


def document(body: Any, status: int = 200, **headers: str) -> Scripted:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(
        [json.dumps(body).encode()], status, {"Content-Type": "application/json"} | named, has_content_length=True
    )


class ScriptedEndpoint:
    """An endpoint on the loopback address that answers every request with the result of ``reply``."""

    def __init__(self, reply: Callable[[Received], Scripted]) -> None:
        self.reply = reply
        self.received: list[Received] = []
        self.left = threading.Event()
        """Set when a client disconnected before the end of the reply."""
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> ScriptedEndpoint:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, owner: ScriptedEndpoint) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.owner = owner

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Suppresses the traceback on stderr."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Suppresses the log on stderr."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        owner = self.server.owner
        received = Received(
            self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body
        )
        owner.received.append(received)
        reply = owner.reply(received)
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.has_content_length:
            self.send_header("Content-Length", str(sum(len(each) for each in reply.pieces if isinstance(each, bytes))))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            self._send(reply)
        except OSError:
            owner.left.set()
            self.close_connection = True

    def _send(self, reply: Scripted) -> None:
        for number, piece in enumerate(reply.pieces):
            if isinstance(piece, threading.Event):
                self._wait(piece)
                continue
            if reply.is_truncated and number == len(reply.pieces) - 1:
                self.close_connection = True
                return
            self.wfile.write(piece if reply.has_content_length else b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        if not reply.has_content_length:
            self.wfile.write(b"0\r\n\r\n")

    def _wait(self, event: threading.Event) -> None:
        """Waits for the event. Raises if the client disconnects first."""
        until = time.monotonic() + TIMEOUT_SECONDS
        self.connection.settimeout(0.02)
        while not event.is_set():
            if time.monotonic() > until:
                raise TimeoutError("the event was not set")
            with contextlib.suppress(TimeoutError):
                if self.connection.recv(1, socket.MSG_PEEK) == b"":
                    raise ConnectionResetError("the client disconnected")
        self.connection.settimeout(None)


@contextlib.contextmanager
def serving(app: FastAPI, port: int = 0, protocol: type[asyncio.Protocol] | None = None) -> Iterator[str]:
    """Serves an application on a loopback port, by default a free one, and yields its URL."""
    http: Any = protocol or "auto"
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, http=http, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()
