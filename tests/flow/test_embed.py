"""embed() computes missing vectors and takes no other step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.errors import EmbeddingError
from memoryos.storage.lease import Lease
from memoryos.testing import HashEmbedder
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
