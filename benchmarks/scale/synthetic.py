"""A fast embedder without a model, and stores of any size filled with its vectors, to exclude embedding from figures."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.micro.dialogue import exchanges
from memoryos.language.passages import vector_model
from memoryos.model import PageDraft, Scope
from memoryos.storage.vector_table import UtteranceVectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from memoryos import MemoryEngine

DIMENSIONS = 384
TOPICS = 4_096
SPREAD = 1.5
"""Distance of texts from the centre of their topic, relative to its length; gives texts near neighbours."""
PAGES_A_COMMIT = 1_000


class SyntheticEmbedder:
    """A fast embedder for benchmarks. Each text gets a pseudo-random vector near that of one of 4,096 topics."""

    name = "synthetic/384"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self._topics = np.random.default_rng(1).standard_normal((TOPICS, DIMENSIONS)).astype(np.float32)
        self._noise = np.random.default_rng(2).standard_normal(DIMENSIONS * 64).astype(np.float32)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), 384]``, rows L2-normalised."""
        marks = [zlib.crc32(text.encode()) for text in texts]
        topics = self._topics[[mark % TOPICS for mark in marks]]
        starts = [(mark >> 12) % (DIMENSIONS * 63) for mark in marks]
        noise = np.stack([self._noise[start : start + DIMENSIONS] for start in starts])
        vectors = topics + np.float32(SPREAD) * noise
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def fill(engine: MemoryEngine, user_id: str, pages: int, said: Iterator[tuple[str, str]]) -> int:
    """Stores pages of one user with their vectors. Returns the number of bytes of texts and vectors."""
    scope_id = engine.store.scopes.open(Scope(user_id, engine.config.assistant_id), engine.clock())
    at = engine.clock() - timedelta(days=400)
    written = 0
    for start in range(0, pages, PAGES_A_COMMIT):
        drafts = []
        for number in range(start, min(pages, start + PAGES_A_COMMIT)):
            user, assistant = next(said)
            drafts.append(PageDraft(at + timedelta(minutes=5 * number), user, assistant))
            written += len(user.encode()) + len(assistant.encode())
        log = engine.store.log.append(scope_id, drafts, engine.clock())
        utterances = [utterance for page in log for utterance in page.utterances()]
        matrix = engine.embedder.embed([utterance.text for utterance in utterances])
        vectors = [
            UtteranceVectors(each.page_id, each.seq, each.side, matrix[number : number + 1])
            for number, each in enumerate(utterances)
        ]
        with engine.updater.leases.acquire(scope_id) as lease:
            engine.store.vectors.save_pages(
                lease, vector_model(engine.embedder.name), [page.page_id for page in log], vectors
            )
        written += matrix.nbytes
    return written


def endless(seed: int) -> Iterator[tuple[str, str]]:
    """Yields the exchanges of an endless synthetic dialogue."""
    while True:
        for user, assistant, _ in exchanges(100_000, seed):
            yield user, assistant
        seed += 1
