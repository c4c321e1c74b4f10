"""Tests forgetting, corrections, export and import over REST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from memoryos.engine import MemoryEngine
from memoryos.memory import Memoryos
from tests.doors.http.conftest import USER, ClientMaker


@pytest.fixture
def memory(engine: MemoryEngine) -> Memoryos:
    memory = engine.memory("tom")
    for number in range(12):
        memory.add_memory(f"I like tea number {number}.", "Good.", f"2023-05-{number + 1:02}")
    memory.force_mid_term_analysis()
    return memory


def forget(client: TestClient, **body: Any) -> Any:
    response = client.post(f"{USER}/forget", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_forget_is_a_dry_run_by_default(client: TestClient, memory: Memoryos) -> None:
    before = list(memory.export_lines())
    page_id = memory.newest_pages(12)[-1].page_id
    for what in ({"page_ids": [page_id]}, {"before": "2023-05-03"}, {"everything": True}, {"query_preview": "tea"}):
        receipt = forget(client, **what)
        assert receipt["dry_run"]
        assert receipt["page_ids"]
    assert client.delete(f"{USER}/pages/{page_id}?dry_run=true").json()["page_ids"] == [page_id]
    assert client.delete(f"{USER}?dry_run=true").json()["memories"][0]["dry_run"]
    assert list(memory.export_lines()) == before


def test_forgotten_pages_are_deleted(client: TestClient, memory: Memoryos) -> None:
    page_id = memory.newest_pages(12)[-1].page_id
    assert client.delete(f"{USER}/pages/{page_id}").json()["erased"]
    assert client.get(f"{USER}/pages/{page_id}").status_code == 404
    assert len(forget(client, before="2023-05-05", dry_run=False)["page_ids"]) == 3
    assert forget(client, query_preview="tea", dry_run=False)["dry_run"]
    assert client.get(f"{USER}/stats").json()["pages"] == 8
    assert forget(client, everything=True, dry_run=False)["erased"]
    assert client.get(f"{USER}/stats").json()["pages"] == 0


@pytest.mark.parametrize(
    "body",
    [{}, {"everything": True, "before": "2023-01-01"}, {"before": "soon"}, {"page_ids": ["\0"]}, {"page_ids": [""]},
     {"page_ids": "x"}, {"page_ids": [7]}, {"everything": "no such"}],
)  # fmt: skip
def test_ambiguous_request_forgets_nothing(client: TestClient, memory: Memoryos, body: Any) -> None:
    assert client.post(f"{USER}/forget", json=body | {"dry_run": False}).status_code == 422
    assert memory.get_memory_stats()["pages"] == 12


def test_deleting_a_user_deletes_all_its_assistants_only(client: TestClient, engine: MemoryEngine) -> None:
    for user, assistant in (("tom", "one"), ("tom", "two"), ("tom", "three"), ("ann", "one")):
        engine.memory(user, assistant).add_memory("Hello.")
    only = client.delete(f"{USER}?assistant_id=one").json()["memories"]
    assert [each["assistant_id"] for each in only] == ["one"]
    deleted = client.delete(USER).json()["memories"]
    assert sorted(each["assistant_id"] for each in deleted if each["page_ids"]) == ["three", "two"]
    left = {
        scope: engine.memory(*(scope.user_id, scope.assistant_id)).get_memory_stats()["pages"]
        for scope in engine.scopes()
    }
    assert {(scope.user_id, count) for scope, count in left.items() if count} == {("ann", 1)}


@pytest.mark.usefixtures("memory")
def test_fact_is_corrected(client: TestClient) -> None:
    wrong = client.get(f"{USER}/knowledge").json()["knowledge"][0]
    right = client.put(f"{USER}/knowledge/{wrong['knowledge_id']}", json={"text": "Likes coffee."}).json()
    assert right["text"] == "Likes coffee."
    assert right["origin"] == {"analyst": "user", "version": "correction"}
    history = client.get(f"{USER}/knowledge/{right['knowledge_id']}/history").json()["knowledge"]
    assert [entry["text"] for entry in history] == [wrong["text"], "Likes coffee."]
    assert client.put(f"{USER}/knowledge/{wrong['knowledge_id']}", json={"text": "No."}).status_code == 404
    assert client.put(f"{USER}/knowledge/{right['knowledge_id']}", json={"text": " "}).status_code == 422


def test_export_is_imported_completely(client: TestClient, memory: Memoryos, tmp_path: Path) -> None:
    export = client.get(f"{USER}/export")
    assert export.headers["content-disposition"] == 'attachment; filename="memory.jsonl"'
    memory.export(tmp_path / "same.jsonl")
    assert export.text == (tmp_path / "same.jsonl").read_text(encoding="utf-8")
    loaded = client.post("/v1/users/copy/import", content=export.content).json()
    assert loaded == {"pages": 12, "known": 0, "forgotten": 0, "tiers": True, "problems": []}
    copied = client.get("/v1/users/copy/export").text
    assert copied.splitlines()[2:] == export.text.splitlines()[2:]
    assert client.post("/v1/users/copy/import", content=export.content).json()["known"] == 12


def test_message_list_is_imported(client: TestClient) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert client.post(f"{USER}/import", content=json.dumps(messages)).json()["pages"] == 1


@pytest.mark.parametrize("body", [b"", b"junk", b"\xff\xfe\x00", b'{"kind": "memoryos", "format": 99}', b"[" * 100_000])
def test_import_error_contains_no_server_path(client: TestClient, engine: MemoryEngine, body: bytes) -> None:
    response = client.post(f"{USER}/import", content=body)
    assert response.status_code == 422
    assert "memoryos-import" not in response.text
    assert all(engine.memory("tom").get_memory_stats()["pages"] == 0 for _ in engine.scopes())


@pytest.mark.usefixtures("memory")
def test_imports_delete_their_temporary_file(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    export = client.get(f"{USER}/export").content
    assert client.post("/v1/users/copy/import", content=export).status_code == 200
    assert client.post("/v1/users/copy/import", content=b"junk").status_code == 422
    assert list(place.iterdir()) == []


def test_import_has_its_own_size_limit(make_client: ClientMaker) -> None:
    client = make_client(max_body_bytes=2_000, max_import_bytes=20_000)
    line = json.dumps({"user_text": "word " * 1_000}).encode()
    assert client.post(f"{USER}/import", content=line).status_code == 200
    assert client.post("/v1/users/a%2Fb/import", content=line).status_code == 200
    assert client.post(f"{USER}/import", content=line * 5).status_code == 413
    assert client.post(f"{USER}/import", content=iter([line] * 5)).status_code == 413
    assert client.post(f"{USER}/pages", json={"user_input": "word " * 1_000}).status_code == 413
