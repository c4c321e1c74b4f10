"""embed() computes missing vectors and takes no other step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.errors import EmbeddingError
from memoryos.memory import Memory
from memoryos.storage.lease import Lease
from memoryos.testing import HashEmbedder
from memoryos.updating import embedding
from tests.conftest import EngineMaker


def test_embed_does_not_consolidate(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0, consolidation_batch=2).memory("tom")
    assert memory.embed()
    for number in range(40):
        memory.add_memory(f"rye bread number {number}")
    memory.add_memory("rye bread")
    assert all(each.cosine == 0 for each in memory.recall("rye bread", max_pages=50).pages)
    assert memory.embed()
    found = memory.recall("rye bread", max_pages=50).pages
    assert found[0].page.user_text == "rye bread"
    assert found[0].cosine == pytest.approx(1.0, abs=1e-5)
    assert all(0.3 < each.cosine <= found[0].cosine for each in found)
    stats = memory.get_memory_stats()
    assert (stats["pages_without_vector"], stats["pages_due"], stats["segments"]) == (0, 41, 0)


def test_embed_waits_for_the_lease_no_longer_than_its_timeout(make_engine: EngineMaker) -> None:
    engine = make_engine()
    memory = engine.memory("tom")
    memory.add_memory("rye")
    scope_id = engine.store.scopes.find(memory.scope)
    assert scope_id is not None
    lease = Lease(scope_id, "another worker", engine.clock() + timedelta(hours=1))
    assert engine.store.scopes.claim(lease, engine.clock())
    assert not memory.embed(0.05)
    engine.store.scopes.release(lease)
    assert memory.embed(0.05)
    assert memory.recall("rye").quotes[0].cosine == pytest.approx(1.0, abs=1e-5)


def test_embed_raises_the_error_of_the_embedder(make_engine: EngineMaker) -> None:
    class Broken(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise EmbeddingError(f"can't read {texts[0]}")

    memory = make_engine(embedder=Broken()).memory("tom")
    memory.add_memory("rye")
    with pytest.raises(EmbeddingError):
        memory.embed()


class Timed(HashEmbedder):
    """Records the number of texts per call; each call takes a given time on the patched clock.

    Args:
        monkeypatch: Replaces the clock of the embedding step.
        seconds: Duration of a call.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.seconds = seconds
        self._now = 0.0
        monkeypatch.setattr("memoryos.updating.embedding.time.monotonic", lambda: self._now)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(len(texts))
        self._now += self.seconds
        return super().embed(texts)


def fill(memory: Memory, pages: int, text: str = "rye bread") -> None:
    memory.add_messages([{"role": role, "content": text} for _ in range(pages) for role in ("user", "assistant")])


def test_fast_embedder_gets_many_texts_per_call(make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = Timed(monkeypatch, seconds=0.1)
    memory = make_engine(embedder=embedder).memory("tom")
    fill(memory, 700)
    memory.embed()
    assert embedder.calls[0] == 2 * embedding.PAGES_PER_READ
    assert max(embedder.calls) == 2 * embedding.MAX_PAGES_PER_STEP
    assert sum(embedder.calls) == 2 * 700
    assert memory.get_memory_stats()["pages_without_vector"] == 0


def test_slow_embedder_gets_few_texts_per_call(make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = Timed(monkeypatch, seconds=0.1)
    memory = make_engine(embedder=embedder).memory("tom")
    fill(memory, 300)
    memory.embed()
    embedder.calls.clear()
    embedder.seconds = 3.0
    fill(memory, 400)
    memory.embed()
    assert embedder.calls[-1] <= 2 * embedding.PAGES_PER_READ
    assert sum(embedder.calls) == 2 * 400


def test_long_pages_are_embedded_in_small_steps(make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = Timed(monkeypatch, seconds=0.1)
    memory = make_engine(embedder=embedder).memory("tom")
    fill(memory, 300)
    memory.embed()
    embedder.calls.clear()
    fill(memory, 48, "rye " * 1_000)
    memory.embed()
    assert len(embedder.calls) >= 48 * 8_000 / embedding.MAX_CHARACTERS_PER_STEP
