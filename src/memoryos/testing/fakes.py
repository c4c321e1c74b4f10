"""A fake embedder, clock and analyst for tests. They use no model, no network and no delays."""

from __future__ import annotations

import threading
import zlib
from collections import Counter, deque
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from memoryos.errors import EmbeddingError
from memoryos.language.text import terms
from memoryos.model import Origin
from memoryos.seams import Profiling, Reading, Reply, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from memoryos.seams import AnswerRequest, Batch, Material, Meter

__all__ = ["FixedClock", "HashEmbedder", "ScriptedAnalyst"]

Scripted = TypeVar("Scripted")


class HashEmbedder:
    """An ``Embedder`` for tests, without a model. Texts that have words in common get similar vectors.

    Args:
        dimensions: Length of the vectors.
    """

    def __init__(self, dimensions: int = 64) -> None:
        self._dimensions = dimensions
        self._directions: dict[str, NDArray[np.float32]] = {}

    @property
    def name(self) -> str:
        """Returns the name of the embedder, e.g. "hash/64" for 64 dimensions."""
        return f"hash/{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """Returns the length of the vectors."""
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns one vector for each text: ``float32[len(texts), dimensions]``, rows L2-normalised."""
        vectors = np.zeros((len(texts), self._dimensions), np.float32)
        for number, text in enumerate(texts):
            vectors[number] = self._vector(text)
        return vectors

    def _vector(self, text: str) -> NDArray[np.float32]:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise EmbeddingError("the text contains lone surrogates, which can't be encoded as UTF-8; remove them")
        vector = np.full(self._dimensions, 1e-3, np.float32)
        for term, count in Counter(terms(text)).items():
            vector += self._direction(term) * np.float32(count)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def _direction(self, term: str) -> NDArray[np.float32]:
        if term not in self._directions:
            random = np.random.default_rng(zlib.crc32(term.encode()))
            self._directions[term] = random.standard_normal(self._dimensions).astype(np.float32)
        return self._directions[term]


class FixedClock:
    """A clock for tests, whose time changes only when ``advance`` is called.

    Args:
        start: The first time of the clock (aware). Default: noon of 1 May 2026, UTC.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        """Returns the current time of this clock (aware)."""
        with self._lock:
            return self._now

    def advance(self, **duration: float) -> None:
        """Moves the clock forward. Accepts the arguments of ``timedelta``, for example ``advance(hours=2)``."""
        with self._lock:
            self._now += timedelta(**duration)


class ScriptedAnalyst:
    """An ``Analyst`` for tests that returns given results, and records its calls in ``calls``.

    After the last given result, ``read`` returns one topic, one chain and no facts, ``profile`` no traits, and
    ``answer`` the text "scripted answer".

    Attributes:
        calls: The calls in order: ("read", batch), ("profile", material) or ("answer", request).
        reads_immediately: Whether pages are read as soon as possible.

    Args:
        readings: Results of ``read`` in order. In all three lists, an exception is raised instead of returned. A
            function is called with the batch or the material, and its result is returned.
        profilings: Results of ``profile`` in order.
        answers: Texts of the results of ``answer`` in order.
        reads_immediately: As the attribute.
    """

    def __init__(
        self,
        readings: Sequence[Reading | Exception | Callable[[Batch], Reading]] = (),
        profilings: Sequence[Profiling | Exception | Callable[[Material], Profiling]] = (),
        answers: Sequence[str | Exception] = (),
        *,
        reads_immediately: bool = False,
    ) -> None:
        self._readings = deque(readings)
        self._profilings = deque(profilings)
        self._answers = deque(answers)
        self.reads_immediately = reads_immediately
        self.calls: list[tuple[str, Any]] = []

    @property
    def origin(self) -> Origin:
        """Returns the name "scripted" and the version "1" of this analyst."""
        return Origin("scripted", "1")

    def read(self, batch: Batch, meter: Meter) -> Reading:  # noqa: ARG002  (costs nothing)
        """Returns the next item of ``readings``: chains, topics and facts of the pages."""
        self.calls.append(("read", batch))
        if self._readings:
            item = self._readings.popleft()
            return item(batch) if callable(item) else _returned(item)
        topic = Topic("scripted summary", frozenset({"scripted"}), tuple(page.page_id for page in batch.pages))
        linked = (bool(batch.before), *(True for _ in batch.pages[1:]))
        return Reading(linked, ("scripted chain",), (topic,))

    def profile(self, material: Material, meter: Meter) -> Profiling:  # noqa: ARG002  (costs nothing)
        """Returns the next item of ``profilings``: changed traits."""
        self.calls.append(("profile", material))
        if not self._profilings:
            return Profiling()
        item = self._profilings.popleft()
        return item(material) if callable(item) else _returned(item)

    def answer(self, request: AnswerRequest, meter: Meter) -> Reply:  # noqa: ARG002  (costs nothing)
        """Returns the next item of ``answers`` in pieces of one word."""
        self.calls.append(("answer", request))
        text = _returned(self._answers.popleft()) if self._answers else "scripted answer"
        return Reply(iter(_pieces(text)))


def _returned(reply: Scripted | Exception) -> Scripted:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _pieces(text: str) -> list[str]:
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]
