"""Tests hostile requests: huge, deep, malformed and mislabelled bodies, and their error responses."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from memoryos import errors
from memoryos.doors.http.app import build_app
from memoryos.doors.http.problem_details import problem_of
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from memoryos.memory import Memoryos
from tests.doors.http.conftest import USER, ClientMaker
from tests.doors.http.proxy_fakes import serving
from tests.waiting import TIMEOUT_SECONDS

JSON = {"Content-Type": "application/json"}


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"null", 422),
        (b"\xff\xff", 400),
        (b'{"user_input": "\\ud800"}', 422),
        (b'{"user_input": "a\\u0000b"}', 422),
        (b'{"user_input": "x", "meta_data": {"a": "\\ud83d"}}', 422),
        (b'{"user_input": "x", "meta_data": {"\\udc00": 1}}', 422),
        (b'{"user_input": "x", "meta_data": {"a": "\\u0000"}}', 422),
        (b'{"user_input": "x", "meta_data": {"a": NaN}}', 422),
        (b'{"user_input": "x", "timestamp": "\\ud800"}', 422),
        (b'{"user_input": "x", "\\ud800": 1}', 422),
        (b'{"user_input": "x", "user_id": "ann"}', 422),
        (b'{"user_input": "x", "meta_data": {"a": 1e999}}', 422),
        (b'{"user_input": "x", "timestamp": "0001-01-01T00:00:00+14:00"}', 422),
        (f'{{"user_input": "x", "meta_data": {{"a": {deep(90)}}}}}'.encode(), 201),
        (f'{{"user_input": "x", "meta_data": {{"a": {deep(300)}}}}}'.encode(), 422),
        (f'{{"user_input": "x", "meta_data": {{"a": {deep(50_000)}}}}}'.encode(), 422),
        (f'{{"user_input": "x", "meta_data": {{"a": {"9" * 5_000}}}}}'.encode(), 400),
        (b'{"user_input": "x", "user_input": "y"}', 201),
        (json.dumps({"user_input": "x" * 4_000_001}).encode(), 422),
    ],
)
def test_hostile_body_is_refused_or_stored_unchanged(client: TestClient, body: bytes, status: int) -> None:
    response = client.post(f"{USER}/pages", content=body, headers=JSON)
    assert response.status_code == status, response.text
    assert len(response.text) < 5_000
    listed = client.get(f"{USER}/pages")
    assert listed.status_code == 200
    assert len(listed.json()["pages"]) == (status == 201)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
def test_form_bodies_are_refused(client: TestClient, content_type: str) -> None:
    body = b'{"user_input": "sent by a form"}'
    response = client.post(f"{USER}/pages", content=body, headers={"Content-Type": content_type})
    assert response.status_code == 422


def test_too_large_body_is_refused_immediately(make_client: ClientMaker) -> None:
    client = make_client(max_body_bytes=10_000)
    for path in (f"{USER}/pages", f"{USER}/recall", "/v1/chat/completions", "/nowhere"):
        response = client.post(path, content=b"x" * 10_001, headers=JSON)
        assert response.status_code == 413, path
        assert response.headers["content-type"] == "application/problem+json"
    assert client.request("GET", f"{USER}/pages", content=b"x" * 10_001).status_code == 413
    assert client.post(f"{USER}/pages", content=iter([b"x" * 6_000] * 2), headers=JSON).status_code == 413
    length = {"Content-Length": "9" * 400}
    assert client.post(f"{USER}/pages", content=b"x", headers=JSON | length).status_code == 413
    assert client.post(f"{USER}/pages", json={"user_input": "x" * 9_000}).status_code == 201


@pytest.mark.enable_socket
def test_endless_body_is_refused(engine: MemoryEngine) -> None:
    with serving(build_app(engine, ServerSettings(max_body_bytes=100_000))) as address:
        place = urlsplit(address)
        with socket.create_connection(("127.0.0.1", place.port or 0), timeout=TIMEOUT_SECONDS) as connection:
            head = f"POST {USER}/pages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            sent, answer = 0, b""

            def send() -> None:
                nonlocal sent
                try:
                    while sent < 200_000_000:
                        connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                        sent += 0x10000
                except OSError:
                    return

            sender = threading.Thread(target=send)
            sender.start()
            answer = connection.recv(1_000)
            sender.join(TIMEOUT_SECONDS)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert sent < 50_000_000


def test_unknown_paths_and_methods_get_a_problem(client: TestClient) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("PUT", "/v1/users", 405), ("GET", "/mcp", 405)):
        response = client.request(method, path)
        assert response.status_code == status
        assert response.json()["type"].startswith("urn:memoryos:")
    assert client.put("/v1/users").headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError("x"), 400),
        (errors.InputError("query", "is empty"), 422),
        (errors.NotFoundError("no page 7"), 404),
        (errors.StoreConflictError("SECRET"), 409),
        (errors.StoreUnavailableError("SECRET"), 503),
        (errors.StoreUnreadableError("SECRET"), 503),
        (errors.SchemaMismatchError("SECRET"), 503),
        (errors.AnalystUnavailableError("SECRET", 12.4), 503),
        (errors.BudgetExceededError("SECRET"), 503),
        (errors.InvalidReplyError("SECRET"), 502),
        (errors.EmbeddingError("SECRET"), 502),
        (errors.DimensionMismatchError(1, 2), 502),
        (TimeoutError("SECRET"), 503),
        (RuntimeError("SECRET"), 500),
    ],
)
def test_error_responses_are_problem_details(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Memoryos, "recall", fail)
    response = client.post(f"{USER}/recall", json={"query": "x"})
    assert response.status_code == status
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"].startswith("urn:memoryos:")
    assert "SECRET" not in response.text
    assert ("retry-after" in response.headers) == (status == 503)
    if isinstance(error, errors.AnalystUnavailableError) and error.retry_after_seconds:
        assert response.headers["retry-after"] == "12"


def test_every_error_class_has_a_problem() -> None:
    arguments = {
        "InputError": ("field", "text"),
        "DimensionMismatchError": (1, 2),
        "QuotaExceededError": ("pages", 1, 2),
    }
    for name in errors.__all__:
        kind = getattr(errors, name)
        error = kind(*arguments.get(name, ("text",)))
        assert problem_of(error).status >= 400
    assert problem_of(errors.InputError("query", "is empty")).errors[0].model_dump() == {
        "field": "query",
        "message": "is empty",
    }
