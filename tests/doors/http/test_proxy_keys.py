"""Tests authorization of proxied chats and which credentials are relayed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.conftest import EngineMaker
from tests.doors.http.proxy_fakes import ScriptedEndpoint, completion, document
from tests.doors.http.proxy_fixture import KEY, Proxied, proxied

pytestmark = pytest.mark.enable_socket

CHAT = json.dumps({"messages": [{"role": "user", "content": "Where do I live?"}]}).encode()


def chat(**more: Any) -> bytes:
    return json.dumps(json.loads(CHAT) | more).encode()


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with ScriptedEndpoint(lambda _: document(completion("In Lisbon."))) as running:
        yield running


@pytest.fixture
def guarded(make_engine: EngineMaker, endpoint: ScriptedEndpoint) -> Iterator[Proxied]:
    with proxied(make_engine, endpoint.base_url, settings={"keys": True}) as proxy:
        yield proxy


def key_of(proxy: Proxied, user_id: str | None) -> str:
    return proxy.engine.store.keys.create(user_id, proxy.engine.clock()).text


def status(proxy: Proxied, body: bytes, headers: dict[str, str]) -> int:
    return proxy.post(body, headers).status_code


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer mos_none_such"}, {"Authorization": "Bearer sk-other"}]
)
def test_request_without_a_key_is_not_relayed(
    guarded: Proxied, endpoint: ScriptedEndpoint, headers: dict[str, str]
) -> None:
    assert status(guarded, CHAT, headers) == 401
    assert status(guarded, b"no json", headers) == 401
    with pytest.raises(openai.AuthenticationError):
        guarded.sdk(api_key="mos_none_such").models.list()
    assert endpoint.received == []


def test_key_selects_the_user(guarded: Proxied, endpoint: ScriptedEndpoint) -> None:
    guarded.engine.memory("ben").add_memory("I live in Oslo, Ben does.", "Nice.")
    client = guarded.sdk(api_key=key_of(guarded, "ann"))
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Where do I live?"}])
    assert guarded.pages("ann") == [("Where do I live?", "In Lisbon.")]
    assert b"Oslo" not in endpoint.received[0].body
    assert guarded.pages("default_user") == []


def test_key_of_one_user_cannot_name_another(guarded: Proxied, endpoint: ScriptedEndpoint) -> None:
    ann = {"Authorization": f"Bearer {key_of(guarded, 'ann')}"}
    assert status(guarded, chat(user="ben"), ann) == 403
    assert status(guarded, CHAT, ann | {"X-MemoryOS-User": "ben"}) == 403
    assert status(guarded, chat(user="ann"), ann | {"X-MemoryOS-User": "ben"}) == 403
    assert endpoint.received == []
    assert guarded.engine.scopes() == ()
    assert status(guarded, chat(user="ann"), ann) == 200
    assert status(guarded, chat(user="a hash"), ann | {"X-MemoryOS-User": "ann"}) == 200
    assert [each.user_id for each in guarded.engine.scopes()] == ["ann"]


def test_administrator_must_name_the_user(guarded: Proxied) -> None:
    admin = {"Authorization": f"Bearer {key_of(guarded, None)}"}
    assert status(guarded, CHAT, admin) == 422
    assert status(guarded, chat(user=""), admin) == 422
    assert status(guarded, chat(user="ann"), admin) == 200
    assert status(guarded, CHAT, admin | {"X-MemoryOS-User": "ben"}) == 200
    assert sorted(each.user_id for each in guarded.engine.scopes()) == ["ann", "ben"]


def test_memoryos_keys_are_not_relayed(guarded: Proxied, endpoint: ScriptedEndpoint) -> None:
    key = key_of(guarded, "ann")
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key, "X-Own": key, "OpenAI-Project": "p"}):
        assert status(guarded, CHAT, headers) == 200
        sent = endpoint.received[-1]
        assert sent.headers["authorization"] == f"Bearer {KEY}"
        assert "mos_" not in str(sent)
        assert "openai-project" not in sent.headers


def test_client_credentials_are_not_relayed_while_keys_are_on(
    make_engine: EngineMaker, endpoint: ScriptedEndpoint
) -> None:
    with proxied(make_engine, endpoint.base_url, settings={"keys": True}, openai_api_key=None) as proxy:
        key = key_of(proxy, "ann")
        assert status(proxy, CHAT, {"X-API-Key": key, "Authorization": "Basic abc", "api-key": "sk"}) == 200
        assert not {"authorization", "api-key", "x-api-key"} & set(endpoint.received[0].headers)


def test_client_credentials_are_relayed_while_keys_are_off(
    make_engine: EngineMaker, endpoint: ScriptedEndpoint
) -> None:
    with proxied(make_engine, endpoint.base_url, openai_api_key="YOUR_OPENAI_API_KEY") as proxy:
        assert status(proxy, CHAT, {"Authorization": "Bearer sk-mine", "OpenAI-Organization": "org"}) == 200
        assert endpoint.received[0].headers["authorization"] == "Bearer sk-mine"
        assert endpoint.received[0].headers["openai-organization"] == "org"
        assert status(proxy, CHAT, {"Authorization": "Bearer mos_left_over"}) == 401
        assert status(proxy, CHAT, {}) == 200
        assert len(endpoint.received) == 2, "MemoryOS keys are never relayed"
        assert "authorization" not in endpoint.received[1].headers


def test_nothing_is_sent_without_endpoint_and_key(make_engine: EngineMaker) -> None:
    with proxied(make_engine, None, openai_api_key=None) as proxy:
        assert status(proxy, CHAT, {}) == 401
        assert status(proxy, CHAT, {"Authorization": "Bearer mos_left_over"}) == 401


def test_conflicting_user_headers_are_refused(make_engine: EngineMaker, endpoint: ScriptedEndpoint) -> None:
    import httpx2  # noqa: PLC0415

    with proxied(make_engine, endpoint.base_url) as proxy, httpx2.Client() as client:
        headers = [("Content-Type", "application/json"), ("X-MemoryOS-User", "ann"), ("X-MemoryOS-User", "ben")]
        got = client.post(f"{proxy.address}/v1/chat/completions", content=CHAT, headers=headers)
        assert got.status_code == 422
        named = [("Content-Type", "application/json"), ("X-MemoryOS-User", "Łukasz 田".encode())]
        raw: Any = [(name, value) for name, value in named]
        assert client.post(f"{proxy.address}/v1/chat/completions", content=CHAT, headers=raw).status_code == 200
        assert [each.user_id for each in proxy.engine.scopes()] == ["Łukasz 田"]


def test_proxy_reads_and_writes_are_audited(guarded: Proxied, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "memoryos.audit")
    guarded.engine.memory("ann").add_memory("I live in Lisbon.", "Nice.")
    assert status(guarded, CHAT, {"Authorization": f"Bearer {key_of(guarded, 'ann')}"}) == 200
    lines = [each.__dict__["fields"] for each in caplog.records if each.name == "memoryos.audit"]
    assert [(each["action"], each["count"], each["user_id"]) for each in lines] == [
        ("read", 1, "ann"),
        ("write", 1, "ann"),
    ]
    assert all(each["key_id"] and each["route"] == "/v1/chat/completions" for each in lines)
    assert "Lisbon" not in str(lines)
