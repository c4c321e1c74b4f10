"""Who calls: without a valid key nothing opens, and the key of one user opens no other user's memory."""

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
from memoryos.storage.keys import ApiKey
from memoryos.storage.store import Store
from memoryos.testing import FixedClock
from tests.doors.http.conftest import ClientMaker

PAGES = "/v1/users/tom/pages"


@pytest.fixture
def connect(make_client: ClientMaker) -> ClientMaker:
    """Returns a maker of clients of servers with keys, unless settings tell otherwise."""
    return functools.partial(make_client, keys=True)


def serving(client: TestClient) -> ServerState:
    found = client.app.state.memoryos  # type: ignore[attr-defined]
    assert isinstance(found, ServerState)
    return found


def noted(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the ids of the keys that are looked for in the store from now on."""
    looked: list[str] = []
    find = engine.store.keys.find

    def found(key_id: str) -> ApiKey | None:
        looked.append(key_id)
        return find(key_id)

    monkeypatch.setattr(engine.store.keys, "find", found)
    return looked


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_a_key_is_read_from_either_header(engine: MemoryEngine, connect: ClientMaker) -> None:
    client = connect()
    text = engine.store.keys.create("tom", engine.clock()).text
    for headers in (bearer(text), {"Authorization": f"bearer   {text} "}, {"X-API-Key": text}):
        assert client.get(PAGES, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}, {"X-API-Key": ""}]
)
def test_without_a_key_a_challenge_comes_back(connect: ClientMaker, headers: dict[str, str]) -> None:
    answer = connect().get(PAGES, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="memoryos"'
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 401


def test_wrong_revoked_and_expired_keys_look_alike(
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


def test_a_revocation_elsewhere_takes_effect_within_a_second(
    engine: MemoryEngine, connect: ClientMaker, tmp_path: Path
) -> None:
    client, now = connect(), [1000.0]
    serving(client).keyring = Keyring(lambda: engine, lambda: now[0])
    made = engine.store.keys.create("tom", engine.clock())
    assert client.get(PAGES, headers=bearer(made.text)).status_code == 200
    with Store(tmp_path / "store" / "memoryos.db") as other:
        other.keys.revoke(made.key.key_id, engine.clock())
    assert SECONDS_CACHED < 1
    now[0] += SECONDS_CACHED + 0.01
    assert client.get(PAGES, headers=bearer(made.text)).status_code == 401


def test_a_known_key_costs_no_look_into_the_store(
    engine: MemoryEngine, connect: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect()
    serving(client).keyring = Keyring(lambda: engine, lambda: 1000.0)
    made = engine.store.keys.create(None, engine.clock())
    looked = noted(engine, monkeypatch)
    for _ in range(5):
        assert client.get(PAGES, headers=bearer(made.text)).status_code == 200
    assert looked == [made.key.key_id]
    assert client.get(PAGES, headers=bearer(made.text[:-1] + "-")).status_code == 401


def test_when_keys_cant_be_read_nothing_opens(
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


def test_a_key_opens_its_user_and_no_other_be_there_one_or_not(engine: MemoryEngine, connect: ClientMaker) -> None:
    client = connect()
    engine.memory("ann").add_memory("My secret is Zuvalka.")
    text = engine.store.keys.create("tom", engine.clock()).text
    there, nowhere = (client.get(f"/v1/users/{name}/pages", headers=bearer(text)) for name in ("ann", "nobody"))
    assert (there.status_code, nowhere.status_code) == (403, 403)
    assert there.content == nowhere.content
    assert "Zuvalka" not in there.text
    for nearly in ("Tom", "tom%20", "to", "tom%2F", "tom%00"):
        assert client.get(f"/v1/users/{nearly}/pages", headers=bearer(text)).status_code in {403, 422}
    admin = engine.store.keys.create(None, engine.clock()).text
    assert client.get("/v1/users/ann/pages", headers=bearer(admin)).status_code == 200


def test_what_concerns_the_whole_server_needs_an_administrator(engine: MemoryEngine, connect: ClientMaker) -> None:
    client = connect()
    user, admin = (engine.store.keys.create(owner, engine.clock()).text for owner in ("tom", None))
    for path in ("/metrics", "/v1/stats"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer(user)).status_code == 403
        assert client.get(path, headers=bearer(admin)).status_code == 200


def test_the_assistant_comes_from_the_query_or_a_header_and_reading_makes_none(
    engine: MemoryEngine, connect: ClientMaker
) -> None:
    client = connect(keys=None)
    engine.memory("tom", "one").add_memory("For one.")
    engine.memory("tom", "two").add_memory("For two.")
    for query, header, text in (("?assistant_id=one", "two", "For one."), ("", "two", "For two.")):
        (page,) = client.get(f"{PAGES}{query}", headers={"X-Assistant-Id": header}).json()["pages"]
        assert page["user_text"] == text
    assert client.get(f"{PAGES}?assistant_id=three").json()["pages"] == []
    assert len(engine.scopes()) == 2


def test_without_keys_every_program_of_this_machine_may(connect: ClientMaker) -> None:
    assert connect(keys=None).get(PAGES).status_code == 200
