"""Tests authentication: a valid key is required, and the key of one user is not valid for another."""

from __future__ import annotations

import functools
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from memoryos.doors.http.keyring import SECONDS_CACHED, Keyring
from memoryos.doors.http.server_state import ServerState
from memoryos.engine import MemoryEngine
from memoryos.errors import StoreUnavailableError
from memoryos.storage.api_keys import ApiKey
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.doors.http.conftest import ClientMaker

PAGES = "/v1/users/tom/pages"


@pytest.fixture
def connect(make_client: ClientMaker) -> ClientMaker:
    """Returns a factory of clients of servers with keys, unless the settings turn keys off."""
    return functools.partial(make_client, keys=True)


def server_of(client: TestClient) -> ServerState:
    found = client.app.state.memoryos  # type: ignore[attr-defined]
    assert isinstance(found, ServerState)
    return found


def record_key_lookups(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns a list to which the ids of lookups up keys are appended."""
    lookups: list[str] = []
    find = engine.store.keys.find

    def found(key_id: str) -> ApiKey | None:
        lookups.append(key_id)
        return find(key_id)

    monkeypatch.setattr(engine.store.keys, "find", found)
    return lookups


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_key_is_read_from_both_headers(engine: MemoryEngine, connect: ClientMaker) -> None:
    client = connect()
    text = engine.store.keys.create("tom", engine.clock()).text
    for headers in (bearer(text), {"Authorization": f"bearer   {text} "}, {"X-API-Key": text}):
        assert client.get(PAGES, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}, {"X-API-Key": ""}]
)
def test_missing_key_gets_a_challenge(connect: ClientMaker, headers: dict[str, str]) -> None:
    answer = connect().get(PAGES, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="memoryos"'
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 401


def test_wrong_revoked_and_expired_keys_get_the_same_error(
    engine: MemoryEngine, connect: ClientMaker, clock: FixedClock
) -> None:
    client = connect()
    keys, now = engine.store.keys, engine.clock()
    revoked, expired = keys.create("tom", now), keys.create("tom", now, expires_at=now + timedelta(seconds=1))
    assert client.get(PAGES, headers=bearer(expired.text)).status_code == 200
    keys.revoke(revoked.key.key_id, now)
    clock.advance(seconds=1)
    unknown = revoked.text.replace(revoked.key.key_id, "0199aaaa-0000-7000-8000-000000000000")
    texts = [revoked.text, expired.text, unknown, revoked.text[:-1] + "-", "mos_", "sk-123", "é" * 20]
    answers = [client.get(PAGES, headers={b"Authorization": f"Bearer {text}".encode()}) for text in texts]
    assert {each.status_code for each in answers} == {401}
    assert len({each.content for each in answers}) == 1


def test_revocation_by_another_process_takes_effect_within_a_second(
    engine: MemoryEngine, connect: ClientMaker, tmp_path: Path
) -> None:
    client, now = connect(), [1000.0]
    server_of(client).keyring = Keyring(lambda: engine, lambda: now[0])
    made = engine.store.keys.create("tom", engine.clock())
    assert client.get(PAGES, headers=bearer(made.text)).status_code == 200
    with Store(tmp_path / "store" / "memoryos.db") as other:
        other.keys.revoke(made.key.key_id, engine.clock())
    assert SECONDS_CACHED < 1
    now[0] += SECONDS_CACHED + 0.01
    assert client.get(PAGES, headers=bearer(made.text)).status_code == 401


def test_cached_key_needs_no_query(engine: MemoryEngine, connect: ClientMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect()
    server_of(client).keyring = Keyring(lambda: engine, lambda: 1000.0)
    made = engine.store.keys.create(None, engine.clock())
    lookups = record_key_lookups(engine, monkeypatch)
    for _ in range(5):
        assert client.get(PAGES, headers=bearer(made.text)).status_code == 200
    assert lookups == [made.key.key_id]
    assert client.get(PAGES, headers=bearer(made.text[:-1] + "-")).status_code == 401


def test_requests_are_refused_while_keys_cannot_be_read(
    engine: MemoryEngine, connect: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect()

    def fail(_: str) -> None:
        raise StoreUnavailableError("locked")

    text = engine.store.keys.create(None, engine.clock()).text
    monkeypatch.setattr(engine.store.keys, "find", fail)
    answer = client.get(PAGES, headers=bearer(text))
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_key_is_valid_for_its_user_only(engine: MemoryEngine, connect: ClientMaker) -> None:
    client = connect()
    engine.memory("ann").add_memory("My secret is Zuvalka.")
    text = engine.store.keys.create("tom", engine.clock()).text
    existing, unknown = (client.get(f"/v1/users/{name}/pages", headers=bearer(text)) for name in ("ann", "nobody"))
    assert (existing.status_code, unknown.status_code) == (403, 403)
    assert existing.content == unknown.content
    assert "Zuvalka" not in existing.text
    for similar in ("Tom", "tom%20", "to", "tom%2F", "tom%00"):
        assert client.get(f"/v1/users/{similar}/pages", headers=bearer(text)).status_code in {403, 422}
    admin = engine.store.keys.create(None, engine.clock()).text
    assert client.get("/v1/users/ann/pages", headers=bearer(admin)).status_code == 200


def test_server_routes_require_an_administrator(engine: MemoryEngine, connect: ClientMaker) -> None:
    client = connect()
    user, admin = (engine.store.keys.create(owner, engine.clock()).text for owner in ("tom", None))
    for path in ("/metrics", "/v1/stats"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer(user)).status_code == 403
        assert client.get(path, headers=bearer(admin)).status_code == 200


def test_assistant_is_read_from_query_or_header(engine: MemoryEngine, connect: ClientMaker) -> None:
    client = connect(keys=None)
    engine.memory("tom", "one").add_memory("For one.")
    engine.memory("tom", "two").add_memory("For two.")
    for query, header, text in (("?assistant_id=one", "two", "For one."), ("", "two", "For two.")):
        (page,) = client.get(f"{PAGES}{query}", headers={"X-Assistant-Id": header}).json()["pages"]
        assert page["user_text"] == text
    assert client.get(f"{PAGES}?assistant_id=three").json()["pages"] == []
    assert len(engine.scopes()) == 2


def test_local_requests_need_no_key_while_keys_are_off(connect: ClientMaker) -> None:
    assert connect(keys=None).get(PAGES).status_code == 200
