"""Tests startup checks of the address, host and origin checks, and security headers."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.doors.http.startup_checks import check_binding
from memoryos.engine import MemoryEngine
from memoryos.errors import ConfigError

PAGE = {"user_input": "I have a cat."}


def served(engine: MemoryEngine, **settings: object) -> TestClient:
    app = build_app(engine, ServerSettings(**settings))
    return TestClient(app, base_url="http://127.0.0.1:8078", raise_server_exceptions=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "memory.example.org"])  # noqa: S104
def test_public_address_requires_keys(engine: MemoryEngine, host: str) -> None:
    with pytest.raises(ConfigError, match="every request must send a key"):
        check_binding(ServerSettings(host=host, keys=False), engine)
    assert ServerSettings(host=host, keys=False).needs_keys, "keys stay on even without the startup check"
    with pytest.raises(ConfigError, match="memoryos keys create --admin"):
        check_binding(ServerSettings(host=host), engine)
    made = engine.store.keys.create("tom", engine.clock())
    check_binding(ServerSettings(host=host), engine)
    engine.store.keys.revoke(made.key.key_id, engine.clock())
    with pytest.raises(ConfigError, match="no valid key"):
        check_binding(ServerSettings(host=host), engine)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_address_requires_keys_only_if_set(engine: MemoryEngine, host: str) -> None:
    check_binding(ServerSettings(host=host), engine)
    check_binding(ServerSettings(host=host, keys=False), engine)
    with pytest.raises(ConfigError, match="no valid key"):
        check_binding(ServerSettings(host=host, keys=True), engine)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8078", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8078", 200), ("127.9.9.9", 200),
        ("evil.example.org", 421), ("evil.example.org:8078", 421), ("127.0.0.1.evil.example.org", 421), ("", 421),
        ("localhost.evil.example.org", 421), ("[::1", 421), ("10.0.0.1", 421), ("2130706433", 421), ("user@localhost:x", 421),
    ],
)  # fmt: skip
def test_foreign_host_name_is_refused(engine: MemoryEngine, host: str, status: int) -> None:
    with served(engine) as client:
        assert client.get("/v1/users/tom/pages", headers={"Host": host}).status_code == status
        assert (client.post("/mcp", headers={"Host": host}).status_code == 421) is (status == 421)


def test_additional_hosts_are_allowed_and_keys_allow_any_host(engine: MemoryEngine) -> None:
    with served(engine, allowed_hosts=["Memory.example.org"]) as client:
        assert client.get("/v1/users/tom/pages", headers={"Host": "memory.example.org"}).status_code == 200
    text = engine.store.keys.create(None, engine.clock()).text
    with served(engine, keys=True) as client:
        headers = {"Host": "any.example.org", "X-API-Key": text, "Origin": "https://evil.example.org"}
        assert client.get("/v1/users/tom/pages", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example.org", "null", "http://127.0.0.1:9999", "http://localhost:8078", "x"]
)
def test_foreign_origin_is_refused(engine: MemoryEngine, origin: str) -> None:
    with served(engine) as client:
        answer = client.post("/v1/users/tom/pages", json=PAGE, headers={"Origin": origin})
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert engine.scopes() == ()


def test_own_origin_is_accepted(engine: MemoryEngine) -> None:
    with served(engine) as client:
        answer = client.post("/v1/users/tom/pages", json=PAGE, headers={"Origin": "http://127.0.0.1:8078"})
        assert answer.status_code == 201
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_cors_allows_only_listed_origins(engine: MemoryEngine) -> None:
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}  # fmt: skip
    with served(engine) as client:
        assert client.options("/v1/users/tom/pages", headers=asked).status_code == 403
    with served(engine, cors_origins=["https://app.example.org"]) as client:
        preflight = client.options("/v1/users/tom/pages", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
        assert "Access-Control-Allow-Credentials" not in preflight.headers
        answer = client.post("/v1/users/tom/pages", json=PAGE, headers={"Origin": "https://app.example.org"})
        assert answer.status_code == 201
        other = client.post("/v1/users/tom/pages", json=PAGE, headers={"Origin": "https://evil.example.org"})
        assert other.status_code == 403


def test_every_response_has_security_headers(engine: MemoryEngine) -> None:
    with served(engine) as client:
        answers = [client.get(path) for path in ("/v1/users/tom/pages", "/nowhere", "/healthz", "/metrics")]
        answers.append(client.get("/healthz", headers={"Host": "evil.example.org"}))
        answers.append(client.post("/v1/users/tom/pages", content=b"{"))
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "server" not in answer.headers
