"""Tests when keys are required, and which requests are refused while keys are off."""

from __future__ import annotations

import base64
import logging

import pytest
from starlette.testclient import TestClient

from memoryos.doors.http.access import CHECK_INTERVAL_SECONDS, AccessPolicy
from memoryos.doors.http.server_state import ServerState
from memoryos.doors.http.settings import ServerSettings
from memoryos.doors.http.startup_checks import check_binding, warn_of_unused_keys
from memoryos.engine import MemoryEngine
from memoryos.errors import ConfigError, StoreUnavailableError
from tests.doors.http.conftest import ClientMaker

PAGES = "/v1/users/tom/pages"
KEY = "mos_0199aaaa-0000-7000-8000-000000000000_" + "a" * 43


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def with_clock(client: TestClient, engine: MemoryEngine) -> Seconds:
    """Makes the server's key check use a clock of the test."""
    server = client.app.state.memoryos  # type: ignore[attr-defined]
    assert isinstance(server, ServerState)
    clock = Seconds()
    access = AccessPolicy(lambda: engine, server.settings, server.keyring.limiter, clock)
    server.access.needs_keys = access.needs_keys  # type: ignore[method-assign]
    return clock


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_store_with_a_key_requires_keys_from_local_requests(engine: MemoryEngine, make_client: ClientMaker) -> None:
    made = engine.store.keys.create("tom", engine.clock())
    client = make_client()
    assert client.get(PAGES).status_code == 401
    assert client.get("/v1/users/ann/pages", headers=bearer(made.text)).status_code == 403
    assert client.post("/mcp", json={}).status_code == 401
    assert client.get("/v1/models").status_code == 401
    assert client.get(PAGES, headers=bearer(made.text) | {"X-Forwarded-For": "203.0.113.9"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "memory.example.org"}).status_code == 200


def test_first_key_is_required_within_a_second(engine: MemoryEngine, make_client: ClientMaker) -> None:
    client = make_client()
    clock = with_clock(client, engine)
    assert client.get(PAGES).status_code == 200
    made = engine.store.keys.create("tom", engine.clock())
    assert CHECK_INTERVAL_SECONDS < 1
    clock.now += CHECK_INTERVAL_SECONDS + 0.01
    assert client.get(PAGES).status_code == 401
    assert client.get(PAGES, headers=bearer(made.text)).status_code == 200


def test_keys_stay_required_after_the_last_key_is_revoked(engine: MemoryEngine, make_client: ClientMaker) -> None:
    made = engine.store.keys.create("tom", engine.clock())
    client = make_client()
    clock = with_clock(client, engine)
    assert client.get(PAGES, headers=bearer(made.text)).status_code == 200
    engine.store.keys.revoke(made.key.key_id, engine.clock())
    clock.now += 3_600
    assert client.get(PAGES).status_code == 401
    assert make_client().get(PAGES).status_code == 401, "also after a restart"
    with pytest.raises(ConfigError, match=r"no request can be authorized.*--no-keys"):
        check_binding(ServerSettings(), engine)
    check_binding(ServerSettings(keys=False), engine)


def test_no_keys_option_logs_a_warning_and_serves_local_requests(
    engine: MemoryEngine, make_client: ClientMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "memoryos.doors.http.startup_checks")
    warn_of_unused_keys(ServerSettings(keys=False), engine)
    assert not caplog.records, "the store has no key yet"
    engine.store.keys.create("tom", engine.clock())
    warn_of_unused_keys(ServerSettings(keys=False), engine)
    assert "--no-keys" in caplog.text
    client = make_client(keys=False)
    assert client.get(PAGES).status_code == 200
    assert client.get(PAGES, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
    assert client.get(PAGES, headers=bearer(KEY)).status_code == 401


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "Via", "X-Real-IP"])
def test_forwarded_requests_are_refused_while_keys_are_off(
    engine: MemoryEngine, make_client: ClientMaker, name: str
) -> None:
    for settings in ({}, {"allowed_hosts": ["memory.example.org"]}, {"trusted_proxies": ["127.0.0.1"]}):
        client = make_client(**settings)
        for host in ("127.0.0.1", "memory.example.org"):
            answer = client.post(PAGES, json={"user_input": "Hi"}, headers={name: "203.0.113.9", "Host": host})
            assert answer.status_code == 403
            assert "memoryos keys create" in answer.json()["detail"]
            assert "--keys" in answer.json()["detail"]
    assert engine.scopes() == ()


@pytest.mark.parametrize(
    "headers",
    [
        bearer(KEY), bearer("mos_wrong"), {"Authorization": KEY}, {"X-API-Key": KEY}, {"Api-Key": KEY},
        {"Authorization": "Basic " + base64.b64encode(f"tom:{KEY}".encode()).decode()}, {"X-Copy": f"key {KEY}"},
    ],
)  # fmt: skip
def test_requests_with_a_key_are_refused_while_keys_are_off(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.get(PAGES, headers=headers)
    assert answer.status_code == 401
    assert "memoryos keys create" in answer.json()["detail"]


def test_key_in_the_query_is_refused_and_foreign_credentials_are_accepted(client: TestClient) -> None:
    assert client.get(f"{PAGES}?key={KEY}").status_code == 401
    assert client.get(f"{PAGES}?q=about+mos_keys").status_code == 200
    for value in ("Bearer sk-other", "Basic !!!", "Basic dG9tOnNlY3JldA=="):
        assert client.get(PAGES, headers={"Authorization": value}).status_code == 200


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("odd", 403), ("same-origin", 200), ("none", 200)]
)
def test_cross_site_requests_are_refused_by_sec_fetch_site(
    engine: MemoryEngine, make_client: ClientMaker, site: str, status: int
) -> None:
    headers = {"Sec-Fetch-Site": site}
    client = make_client(cors_origins=["https://app.example.org"])
    assert client.get(PAGES, headers=headers).status_code == status
    assert client.get(PAGES, headers=headers | {"Origin": "https://app.example.org"}).status_code == 200
    text = engine.store.keys.create("tom", engine.clock()).text
    assert make_client(keys=True).get(PAGES, headers=headers | bearer(text)).status_code == 200


def test_requests_are_refused_while_the_store_cannot_be_read(
    engine: MemoryEngine, make_client: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise StoreUnavailableError("locked")

    monkeypatch.setattr(engine.store.keys, "any", fail)
    client = make_client()
    assert client.get(PAGES).status_code == 503
    assert client.get(PAGES, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
    assert client.get("/healthz").status_code == 200
