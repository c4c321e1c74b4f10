"""Concurrent single texts share runs of the model; each call gets its own vector or its own error."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.errors import EmbeddingError
from memoryos.models.embedding_batcher import MAX_BATCH_TEXTS, EmbeddingBatcher
from memoryos.models.minilm import MiniLM

SECONDS = 60.0


class Model:
    """Returns the number in each text as its vector; the first run blocks until ``go`` is set."""

    def __init__(self, *, blocks_first: bool = True) -> None:
        self.runs: list[list[str]] = []
        self.has_started = threading.Event()
        self.go = threading.Event()
        if not blocks_first:
            self.go.set()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.runs.append(list(texts))
        self.has_started.set()
        assert self.go.wait(SECONDS)
        if "bad" in texts:
            raise EmbeddingError("invalid text")
        return np.array([[float(text)] for text in texts], np.float32)


def embed_all(batcher: EmbeddingBatcher, model: Model, texts: list[str]) -> list[float | str]:
    """Embeds the first text alone and queues the others during its run."""

    def embed(text: str) -> float | str:
        try:
            return float(batcher.embed(text)[0])
        except EmbeddingError as error:
            return str(error)

    with ThreadPoolExecutor(len(texts)) as threads:
        first = threads.submit(embed, texts[0])
        assert model.has_started.wait(SECONDS)
        others = [threads.submit(embed, text) for text in texts[1:]]
        while len(batcher._queue) < len(others):
            threading.Event().wait(0.001)
        model.go.set()
        return [each.result(SECONDS) for each in (first, *others)]


def test_single_text_runs_without_delay() -> None:
    model = Model(blocks_first=False)
    assert EmbeddingBatcher(model).embed("7").tolist() == [7.0]
    assert model.runs == [["7"]]


def test_texts_queued_during_a_run_share_the_next_run() -> None:
    model = Model()
    texts = [str(number) for number in range(1 + MAX_BATCH_TEXTS + 3)]
    assert embed_all(EmbeddingBatcher(model), model, texts) == [float(text) for text in texts]
    assert [len(run) for run in model.runs] == [1, MAX_BATCH_TEXTS, 3]


def test_failing_text_does_not_fail_its_batch() -> None:
    model = Model()
    assert embed_all(EmbeddingBatcher(model), model, ["1", "2", "bad", "4"]) == [1.0, 2.0, "invalid text", 4.0]


def test_interrupted_run_leaves_no_thread_waiting() -> None:
    def interrupted(texts: Sequence[str]) -> NDArray[np.float32]:
        if len(texts) > 1:
            raise KeyboardInterrupt
        return np.zeros((1, 1), np.float32)

    batcher = EmbeddingBatcher(interrupted)
    with batcher._model_lock, ThreadPoolExecutor(2) as threads:
        requests = [threads.submit(batcher.embed, "a") for _ in range(2)]
        while len(batcher._queue) < 2:
            threading.Event().wait(0.001)
        batcher._model_lock.release()
        errors = [each.exception(SECONDS) for each in requests]
        batcher._model_lock.acquire()
    assert sorted(type(error).__name__ for error in errors) == ["KeyboardInterrupt", "NoneType"]


def test_minilm_returns_the_same_vectors_in_shared_runs() -> None:
    model = MiniLM()
    texts = [
        f"What did I say about the {thing}?" for thing in ("garden", "violin", "sister in Porto", "old red bicycle")
    ] * 4
    alone = [model.embed([text])[0] for text in texts]
    with ThreadPoolExecutor(len(texts)) as threads:
        together = list(threads.map(lambda text: model.embed([text])[0], texts))
    assert np.allclose(alone, together, atol=1e-6)
    with pytest.raises(EmbeddingError):
        model.embed(["\ud800"])
