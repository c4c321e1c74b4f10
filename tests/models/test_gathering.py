"""Single texts of many threads share runs; each gets its own vector or its own error."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.errors import EmbeddingError
from memoryos.models.gathering import MOST_TEXTS, Gathering
from memoryos.models.minilm import MiniLM

SECONDS = 60.0


class Model:
    """Gives each text a vector of its number; the first run waits until it is let go."""

    def __init__(self, *, stops_first: bool = True) -> None:
        self.runs: list[list[str]] = []
        self.begun = threading.Event()
        self.go = threading.Event()
        if not stops_first:
            self.go.set()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.runs.append(list(texts))
        self.begun.set()
        assert self.go.wait(SECONDS)
        if "bad" in texts:
            raise EmbeddingError("can't be read")
        return np.array([[float(text)] for text in texts], np.float32)


def ask_all(gathering: Gathering, model: Model, texts: list[str]) -> list[float | str]:
    """Asks for the first alone, then for the others while its run lasts."""

    def ask(text: str) -> float | str:
        try:
            return float(gathering.embed(text)[0])
        except EmbeddingError as error:
            return str(error)

    with ThreadPoolExecutor(len(texts)) as threads:
        first = threads.submit(ask, texts[0])
        assert model.begun.wait(SECONDS)
        others = [threads.submit(ask, text) for text in texts[1:]]
        while len(gathering._waiting) < len(others):
            threading.Event().wait(0.001)
        model.go.set()
        return [each.result(SECONDS) for each in (first, *others)]


def test_a_text_alone_is_run_at_once() -> None:
    model = Model(stops_first=False)
    assert Gathering(model).embed("7").tolist() == [7.0]
    assert model.runs == [["7"]]


def test_those_that_come_meanwhile_share_a_run() -> None:
    model = Model()
    texts = [str(number) for number in range(1 + MOST_TEXTS + 3)]
    assert ask_all(Gathering(model), model, texts) == [float(text) for text in texts]
    assert [len(run) for run in model.runs] == [1, MOST_TEXTS, 3]


def test_a_text_that_spoils_a_run_fails_alone() -> None:
    model = Model()
    assert ask_all(Gathering(model), model, ["1", "2", "bad", "4"]) == [1.0, 2.0, "can't be read", 4.0]


def test_an_interrupt_leaves_nobody_waiting() -> None:
    def interrupted(texts: Sequence[str]) -> NDArray[np.float32]:
        if len(texts) > 1:
            raise KeyboardInterrupt
        return np.zeros((1, 1), np.float32)

    gathering = Gathering(interrupted)
    with gathering._turn, ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(gathering.embed, "a") for _ in range(2)]
        while len(gathering._waiting) < 2:
            threading.Event().wait(0.001)
        gathering._turn.release()
        errors = [each.exception(SECONDS) for each in asked]
        gathering._turn.acquire()
    assert sorted(type(error).__name__ for error in errors) == ["KeyboardInterrupt", "NoneType"]


def test_the_built_in_model_gives_the_same_vectors_in_company() -> None:
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
