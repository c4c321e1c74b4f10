"""Tests liveness and readiness, also without a store or embedder."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from memoryos.engine import MemoryEngine
from memoryos.errors import EmbeddingError, StoreUnavailableError
from memoryos.testing import HashEmbedder
from tests.conftest import EngineMaker
from tests.doors.http.conftest import ClientMaker


class Counting(HashEmbedder):
    """An embedder that counts its calls and can be set to fail."""

    embedded = 0
    is_unavailable = False

    def embed(self, texts: Any) -> Any:
        if self.is_unavailable:
            raise EmbeddingError("the secret endpoint is away")
        self.embedded += len(texts)
        return super().embed(texts)


def test_readiness_embeds_a_text_at_each_call(make_engine: EngineMaker, make_client: ClientMaker) -> None:
    embedder = Counting()
    client = make_client(make_engine(embedder=embedder))
    for number in range(1, 4):
        assert client.get("/readyz").json() == {"status": "ready", "store": "ok", "embedder": "ok", "backlog": 0}
        assert embedder.embedded == number
    embedder.is_unavailable = True
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "store": "ok", "embedder": "unavailable", "backlog": 0}
    assert "retry-after" in response.headers
    assert client.get("/healthz").json() == {"status": "ok"}


def test_readiness_reads_the_store(client: TestClient, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise StoreUnavailableError("/the/secret/place is locked")

    monkeypatch.setattr(engine.store.scopes, "find", fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["store"] == "unavailable"
    assert "secret" not in response.text
    assert client.get("/healthz").status_code == 200


def test_opening_the_engine_is_retried(make_engine: EngineMaker, make_client: ClientMaker) -> None:
    attempts: list[int] = []

    def open_engine() -> MemoryEngine:
        attempts.append(1)
        if len(attempts) == 1:
            raise StoreUnavailableError("not yet")
        return make_engine()

    client = make_client(open_engine)
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").status_code == 200
    assert client.get("/readyz").status_code == 200
    assert len(attempts) == 2


def test_server_statistics(client: TestClient, engine: MemoryEngine) -> None:
    for user in ("tom", "ann"):
        for _ in range(9):
            engine.memory(user).add_memory("Hello.")
    stats = client.get("/v1/stats").json()
    assert (stats["memories"], stats["pages_due"], stats["pages_without_vector"]) == (2, 18, 18)
    assert stats["embedder"] == engine.embedder.name
    assert not stats["has_llm"]
