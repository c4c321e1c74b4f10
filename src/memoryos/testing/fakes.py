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
from memoryos.seams import Digest, Lesson, Reply, Topic

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    After the last given result, ``digest`` returns one topic and one chain, ``learn`` no changes, and ``answer`` the
    text "scripted answer".

    Args:
        digests: Results of ``digest`` in order. In all three lists, an exception is raised instead of returned.
        lessons: Results of ``learn`` in order.
        answers: Texts of the results of ``answer`` in order.
    """

    def __init__(
        self,
        digests: Sequence[Digest | Exception] = (),
        lessons: Sequence[Lesson | Exception] = (),
        answers: Sequence[str | Exception] = (),
    ) -> None:
        self._digests = deque(digests)
        self._lessons = deque(lessons)
        self._answers = deque(answers)
        self.calls: list[tuple[str, Any]] = []

    @property
    def origin(self) -> Origin:
        """Returns the name "scripted" and the version "1" of this analyst."""
        return Origin("scripted", "1")

    def digest(self, batch: Batch, meter: Meter) -> Digest:  # noqa: ARG002  (costs nothing)
        """Returns the next item of ``digests``: chains and topics of the pages."""
        self.calls.append(("digest", batch))
        if self._digests:
            return _returned(self._digests.popleft())
        topic = Topic("scripted summary", frozenset({"scripted"}), tuple(page.page_id for page in batch.pages))
        linked = (batch.previous is not None, *(True for _ in batch.pages[1:]))
        return Digest(linked, ("scripted chain",), (topic,))

    def learn(self, material: Material, meter: Meter) -> Lesson:  # noqa: ARG002  (costs nothing)
        """Returns the next item of ``lessons``: changes to facts and profile."""
        self.calls.append(("learn", material))
        return _returned(self._lessons.popleft()) if self._lessons else Lesson()

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
