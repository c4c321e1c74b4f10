"""Tests MCP over HTTP with a real client and the rights of each caller."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from mcp.client import Client

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from tests.doors.http.conftest import ClientMaker
from tests.doors.http.proxy_fakes import serving

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def call(client: TestClient, tool: str, headers: dict[str, str], **arguments: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    response = client.post("/mcp", json=body, headers=HEADERS | headers)
    if response.status_code != 200:
        return response
    data = next(line for line in response.text.splitlines() if line.startswith("data: "))
    return json.loads(data.removeprefix("data: "))["result"]


def read(client: TestClient, uri: str, headers: dict[str, str]) -> str:
    body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
    return client.post("/mcp", json=body, headers=HEADERS | headers).text


@pytest.fixture
def guarded(engine: MemoryEngine, make_client: ClientMaker) -> TestClient:
    engine.memory("ann").add_memory("I like marmalade-canary.")
    return make_client(keys=True)


def key(engine: MemoryEngine, user_id: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.store.keys.create(user_id, engine.clock()).text}"}


@pytest.mark.enable_socket
def test_client_adds_and_recalls_a_page(engine: MemoryEngine) -> None:
    async def talk(address: str) -> tuple[list[str], str]:
        async with Client(f"{address}/mcp") as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            await client.call_tool("add_memory", {"user_input": "I play the violin.", "user_id": "tom"})
            found = await client.call_tool("retrieve_memory", {"query": "violin", "user_id": "tom"})
            return tools, str(found.content)

    with serving(build_app(engine, ServerSettings())) as address:
        tools, found = anyio.run(talk, address)
    assert "forget_memory" in tools
    assert "I play the violin." in found
    assert engine.memory("tom").get_memory_stats()["pages"] == 1


def test_request_without_a_key_gets_no_data(guarded: TestClient, engine: MemoryEngine) -> None:
    for headers in ({}, {"Authorization": "Bearer mos_x"}):
        response = call(guarded, "list_memories", headers, user_id="ann")
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"
    assert call(guarded, "list_memories", key(engine, "ann"))["structuredContent"]["pages"]


def test_key_selects_its_user_only(guarded: TestClient, engine: MemoryEngine) -> None:
    bens = key(engine, "ben")
    assert call(guarded, "list_memories", bens)["structuredContent"]["pages"] == []
    for tool, arguments in (
        ("list_memories", {}),
        ("retrieve_memory", {"query": "marmalade"}),
        ("get_user_profile", {}),
        ("memory_stats", {}),
        ("ask_memory", {"query": "marmalade"}),
        ("add_memory", {"user_input": "I was here."}),
        ("forget_memory", {"query": "marmalade"}),
    ):
        refused = call(guarded, tool, bens, user_id="ann", **arguments)
        assert refused["isError"], tool
        assert "another user" in refused["content"][0]["text"]
        assert "canary" not in json.dumps(refused)
    call(guarded, "add_memory", bens, user_input="I am Ben.")
    assert {scope.user_id for scope in engine.scopes()} == {"ann", "ben"}
    assert engine.memory("ann").get_memory_stats()["pages"] == 1
    for uri in ("memoryos://status", "memoryos://profile", "memoryos://config"):
        assert "canary" not in read(guarded, uri, bens)


def test_callers_on_one_connection_keep_their_own_rights(guarded: TestClient, engine: MemoryEngine) -> None:
    keys = {name: key(engine, name) for name in ("ann", "ben")}
    for _ in range(3):
        assert call(guarded, "memory_stats", keys["ann"])["structuredContent"]["user_id"] == "ann"
        assert call(guarded, "memory_stats", keys["ben"])["structuredContent"]["user_id"] == "ben"


def test_administrator_must_name_a_user(guarded: TestClient, engine: MemoryEngine) -> None:
    listed = call(guarded, "list_memories", key(engine, None), user_id="ann")
    assert "canary" in json.dumps(listed)
    other = call(guarded, "memory_stats", key(engine, None))["structuredContent"]["user_id"]
    assert other == engine.config.user_id


def test_settings_require_an_administrator(guarded: TestClient, engine: MemoryEngine) -> None:
    assert "data_storage_path" in read(guarded, "memoryos://config", key(engine, None))
    assert "data_storage_path" not in read(guarded, "memoryos://config", key(engine, "ben"))
