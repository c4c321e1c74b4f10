"""A local HTTP server for tests that imitates OpenAI's chat API and simulates its failures."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, get_args

from memoryos.language.text import estimate_tokens
from memoryos.testing.chat import ok_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

__all__ = ["Behaviour", "FakeOpenAIServer", "misbehave"]

Behaviour = Literal[
    "ok",
    "slow",
    "429",
    "500",
    "401",
    "truncated",
    "wrong schema",
    "empty",
    "wrong language",
    "invented ids",
    "dropped",
    "thinking",
    "no completion",
    "withheld",
]
"""How the server responds to a request. "dropped" closes the connection in the middle of the reply."""
BEHAVIOURS: tuple[str, ...] = get_args(Behaviour)

_FOREIGN = "Это ответ на совершенно другом языке, чем разговор, и поэтому его нельзя запоминать."
_STATUS = {"429": 429, "500": 500, "401": 401}
_BUSY = frozenset({429, 500})
_FINISHES = {"withheld": "content_filter", "truncated": "length"}
_NO_COMPLETION = {"object": "error", "message": "simulated error"}


class FakeOpenAIServer:
    """A fake LLM server for tests, at ``http://127.0.0.1:<port>/v1``.

    Use it in a ``with`` statement. The server stops at the end of the statement.

    Attributes:
        requests: The JSON bodies of all requests so far.
        behaved: Number of requests for each behaviour.

    Args:
        reply: Function that returns the reply to a list of messages (role, content). Default: ``ok_reply``.
        behaviour: The behaviour for all requests, or a function that returns the behaviour for a request body.
        latency_seconds: Delay before each reply.
        slow_seconds: Delay before a reply with the behaviour "slow".
        retry_after: Value of the header ``Retry-After`` of replies with status 429 and 500.
        refuses: Parameters that are rejected with status 400: "json_schema", "json_object", "stream_options",
            "temperature".
    """

    def __init__(
        self,
        *,
        reply: Callable[[Sequence[tuple[str, str]]], str] = ok_reply,
        behaviour: Behaviour | Callable[[dict[str, Any]], Behaviour] = "ok",
        latency_seconds: float = 0.0,
        slow_seconds: float = 5.0,
        retry_after: str | None = None,
        refuses: Sequence[str] = (),
    ) -> None:
        self.reply = reply
        self.behaviour = behaviour
        self.latency_seconds = latency_seconds
        self.slow_seconds = slow_seconds
        self.retry_after = retry_after
        self.refuses = frozenset(refuses)
        self.requests: list[dict[str, Any]] = []
        self.behaved: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Endpoint, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        """Address of the server, for the setting ``openai_base_url``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def note(self, behaviour: str) -> None:
        """Counts one request with a behaviour. Thread-safe."""
        with self._lock:
            self.behaved[behaviour] += 1

    def pause(self, seconds: float) -> None:
        """Waits for a number of seconds, or until the server is closed."""
        self._closing.wait(seconds)

    def close(self) -> None:
        """Stops the server and closes all connections, including idle keep-alive connections."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()

    def __enter__(self) -> FakeOpenAIServer:  # noqa: PYI034
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(
        self, address: tuple[str, int], endpoint: type[BaseHTTPRequestHandler], owner: FakeOpenAIServer
    ) -> None:
        super().__init__(address, endpoint)
        self.owner = owner
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handles a connection in a new thread."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        """Closes a connection."""
        with self._lock:
            self._open.discard(request)
            super().close_request(request)

    def close_connections(self) -> None:
        """Closes all connections, so that their threads end."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs nothing, because tests close connections on purpose."""


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.server.owner
        owner.requests.append(body)
        refused = _refused(body, owner.refuses)
        if refused:
            self._send(400, _error("invalid_request_error", f"{refused} is not supported"))
            return
        behaviour = owner.behaviour if isinstance(owner.behaviour, str) else owner.behaviour(body)
        owner.note(behaviour)
        owner.pause(owner.slow_seconds if behaviour == "slow" else owner.latency_seconds)
        if behaviour in _STATUS:
            self._send(_STATUS[behaviour], _error("simulated_error", "simulated error"))
            return
        messages = [(each["role"], _words(each)) for each in body["messages"]]
        text = misbehave(behaviour, owner.reply(messages))
        if body.get("stream"):
            self._stream(body, text, behaviour)
        else:
            self._complete(body, text, behaviour)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (name in http.server)
        """Logs nothing."""

    def _complete(self, body: dict[str, Any], text: str, behaviour: str) -> None:
        if behaviour == "no completion":
            self._send(200, _NO_COMPLETION)
            return
        message = {"role": "assistant", "content": text, "refusal": None}
        finish = _FINISHES.get(behaviour, "stop")
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        completion = _envelope(body, "chat.completion") | {"choices": [choice], "usage": _usage(body, text)}
        if behaviour == "dropped":
            self._drop(json.dumps(completion).encode())
        else:
            self._send(200, completion)

    def _stream(self, body: dict[str, Any], text: str, behaviour: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        if behaviour == "no completion":
            self._write(_NO_COMPLETION)
            self.close_connection = True
            return
        words = text.split(" ")
        for place, word in enumerate(words):
            if behaviour == "dropped" and place >= len(words) // 2:
                self.close_connection = True
                return
            self._event(body, {"content": word if place == 0 else f" {word}"}, None)
        self._event(body, {}, _FINISHES.get(behaviour, "stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            self._write(_envelope(body, "chat.completion.chunk") | {"choices": [], "usage": _usage(body, text)})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, body: dict[str, Any], delta: dict[str, Any], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self._write(_envelope(body, "chat.completion.chunk") | {"choices": [choice]})

    def _write(self, event: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status in _BUSY and self.server.owner.retry_after is not None:
            self.send_header("Retry-After", self.server.owner.retry_after)
        self.end_headers()
        self.wfile.write(content)

    def _drop(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.close_connection = True


def _refused(body: dict[str, Any], refuses: frozenset[str]) -> str | None:
    used = {name for name in ("stream_options", "temperature") if body.get(name) is not None}
    used.add((body.get("response_format") or {}).get("type", ""))
    return next(iter(sorted(used & refuses)), None)


def misbehave(behaviour: str, text: str) -> str:
    """Adds the fault of a behaviour to a reply. Returns the reply unchanged if the fault is not in the reply's text."""
    change = _CHANGES.get(behaviour)
    return change(text) if change else text


def _changed(text: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    return json.dumps(change(json.loads(text)), ensure_ascii=False) if text.startswith("{") else text


def _in_foreign_language(reply: dict[str, Any]) -> dict[str, Any]:
    for each in (*reply.get("chains", []), *reply.get("topics", [])):
        each["summary"] = _FOREIGN
    for each in reply.get("facts", []):
        each["text"] = _FOREIGN
    for each in reply.get("traits", []):
        each["reason"] = _FOREIGN
    return reply


def _with_invented_ids(reply: dict[str, Any]) -> dict[str, Any]:
    for each in (*reply.get("topics", []), *reply.get("facts", []), *reply.get("traits", [])):
        each["pages"] = [*each["pages"], 999]
    return reply


_CHANGES: dict[str, Callable[[str], str]] = {
    "truncated": lambda text: text[: len(text) // 2],
    "wrong schema": lambda text: _changed(text, lambda _: {"summary": "a reply of another shape", "pages": "all"}),
    "empty": lambda _: "",
    "thinking": lambda text: f'<think>\nThe user wants {{"chains": []}} …\n</think>\n\n{text}',
    "wrong language": lambda text: _changed(text, _in_foreign_language),
    "invented ids": lambda text: _changed(text, _with_invented_ids),
}


def _envelope(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "fake-reply", "object": kind, "created": int(time.time()), "model": body["model"]}


def _usage(body: dict[str, Any], text: str) -> dict[str, int]:
    prompt_tokens = round(sum(estimate_tokens(_words(each)) for each in body["messages"]))
    reply_tokens = round(estimate_tokens(text))
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": reply_tokens,
        "total_tokens": prompt_tokens + reply_tokens,
    }


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": code, "code": code, "param": None}}


def _words(message: dict[str, Any]) -> str:
    """Returns the text of a message, or "" for a message that contains only tool calls."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
