"""Tests the limits for slow and numerous connections; other clients are served meanwhile."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from memoryos.doors.http.app import build_app
from memoryos.doors.http.connection_limits import limited_protocol
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from tests.doors.http.conftest import USER
from tests.doors.http.proxy_fakes import serving
from tests.waiting import wait_until

pytestmark = pytest.mark.enable_socket

TIMEOUT_SECONDS = 20.0
HEAD = f"POST {USER}/pages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def limited(engine: MemoryEngine, **given: Any) -> Iterator[str]:
    settings = ServerSettings(**given)
    with serving(build_app(engine, settings), protocol=limited_protocol(settings)) as address:
        yield address


@contextlib.contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), timeout=TIMEOUT_SECONDS) as connection:
        yield connection


def dribble(connection: socket.socket, text: bytes) -> None:
    """Sends single bytes until the server closes the connection."""
    connection.settimeout(0.05)
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        try:
            connection.sendall(text)
            if connection.recv(1_000) == b"":
                return
        except TimeoutError:
            continue
        except OSError:
            return
    raise AssertionError("the connection was never closed")


def received(connection: socket.socket) -> bytes:
    """Returns all data until the server closes the connection."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            got += piece
    return got


def is_served(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("begin", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
def test_slow_headers_time_out(engine: MemoryEngine, begin: bytes) -> None:
    with limited(engine, header_seconds=0.5) as address, connected(address) as slow:
        slow.sendall(begin)
        assert httpx2.get(f"{address}/healthz").status_code == 200
        dribble(slow, b"x")


def test_idle_connection_is_closed(engine: MemoryEngine) -> None:
    with limited(engine, header_seconds=0.3) as address, connected(address) as silent:
        assert received(silent) == b""


def test_slow_body_times_out(engine: MemoryEngine) -> None:
    with limited(engine, body_seconds=0.3, header_seconds=0.5) as address, connected(address) as slow:
        slow.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode())
        answer = received(slow)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
    assert engine.scopes() == ()


def test_slow_import_times_out(engine: MemoryEngine) -> None:
    with limited(engine, body_seconds=0.3) as address, connected(address) as slow:
        head = f"POST {USER}/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n["
        slow.sendall(head.encode())
        assert received(slow).startswith(b"HTTP/1.1 408 ")


def test_connection_with_an_unread_body_is_closed(engine: MemoryEngine) -> None:
    with limited(engine, keys=True, header_seconds=0.5) as address, connected(address) as slow:
        slow.sendall(f"{HEAD}Content-Length: 1000000\r\n\r\n".encode())
        assert slow.recv(1_000).startswith(b"HTTP/1.1 401 ")
        dribble(slow, b"x")


def test_slow_response_is_allowed_and_connection_is_reused(engine: MemoryEngine) -> None:
    with limited(engine, header_seconds=2.0, event_seconds=0.05) as address, connected(address) as patient:
        for _ in range(3):
            patient.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = b""
            while b'{"status":"ok"}' not in answer:
                answer += patient.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 200 ")
        patient.sendall(f"GET {USER}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        got = b""
        while b"event: stats" not in got:
            got += patient.recv(10_000)
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            time.sleep(0.05)
        engine.memory("tom").add_memory("Later.")
        while b"Later." not in got:
            got += patient.recv(10_000)


def test_pipelined_requests_are_both_answered(engine: MemoryEngine) -> None:
    with limited(engine) as address, connected(address) as quick:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        quick.sendall(request + b"\r\n" + request + b"Connection: close\r\n\r\n")
        assert received(quick).count(b"HTTP/1.1 200 ") == 2


def test_client_that_does_not_read_is_disconnected(engine: MemoryEngine) -> None:
    for number in range(40):
        engine.memory("tom").add_memory(f"Page {number}. {'x' * 200_000}")
    with limited(engine, send_seconds=0.3, address_connections=1) as address, socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        idle.settimeout(TIMEOUT_SECONDS)
        idle.connect(("127.0.0.1", urlsplit(address).port or 0))
        idle.sendall(f"GET {USER}/pages HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert idle.recv(10).startswith(b"HTTP/1.1 2")
        wait_until(lambda: is_served(address))  # the aborted connection is no longer counted
        with contextlib.suppress(ConnectionResetError):
            got = sum(map(len, iter(lambda: idle.recv(65_536), b"")))
            assert got < 8_000_000, "the response was cut off"
    with limited(engine) as address:
        assert len(httpx2.get(f"{address}{USER}/pages", timeout=TIMEOUT_SECONDS).content) > 8_000_000


def test_connections_per_address_are_limited(engine: MemoryEngine) -> None:
    with limited(engine, address_connections=3) as address, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(address)).sendall(b"GET /healthz HTTP/1.1\r\n")
        with connected(address) as refused:
            assert received(refused).startswith(b"HTTP/1.1 429 ")
        stack.close()
        wait_until(lambda: is_served(address))


def test_connections_of_a_trusted_proxy_are_not_limited(engine: MemoryEngine) -> None:
    with limited(engine, address_connections=1, trusted_proxies=["127.0.0.1"]) as address:  # noqa: SIM117
        with connected(address), connected(address), connected(address):
            assert httpx2.get(f"{address}/healthz").status_code == 200


def test_too_large_content_length_gets_a_response(engine: MemoryEngine) -> None:
    with limited(engine, max_body_bytes=10_000) as address:
        answer = httpx2.post(f"{address}{USER}/pages", content=b"x" * 30_000_000)
        assert answer.status_code == 413
        with connected(address) as waiting:
            waiting.sendall(f"{HEAD}Content-Length: 20000\r\nExpect: 100-continue\r\n\r\n".encode())
            assert received(waiting).startswith(b"HTTP/1.1 413 ")
