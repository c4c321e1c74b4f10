"""Combines single texts from concurrent threads into one run of the model, which costs little more than one text."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from memoryos.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MAX_BATCH_TEXTS", "EmbeddingBatcher"]

MAX_BATCH_TEXTS = 16
"""Maximum number of texts in one run of the model."""


class EmbeddingBatcher:
    """Embeds single texts from many threads in shared batches, one run of the model at a time.

    The thread that holds the model lock embeds all texts that are queued at that moment. No thread waits for a batch
    to fill, so a single thread has no extra delay. If a batch fails, each of its texts is embedded alone: one text
    that can't be encoded must not fail the others.

    Args:
        run: Returns ``float32[len(texts), dimensions]``; must return the same vector for a text in any batch.
    """

    def __init__(self, run: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        self._run = run
        self._model_lock = threading.Lock()
        self._queue_lock = threading.Lock()
        self._queue: list[_Request] = []

    def embed(self, text: str) -> NDArray[np.float32]:
        """Returns ``float32[dimensions]``.

        Raises:
            EmbeddingError: If the model can't embed this text.
        """
        request = _Request(text)
        with self._queue_lock:
            self._queue.append(request)
        with self._model_lock:
            while not request.is_dequeued:
                self._run_next_batch()
        return self._run([text])[0] if request.vector is None else request.vector

    def _run_next_batch(self) -> None:
        with self._queue_lock:
            batch, self._queue = self._queue[:MAX_BATCH_TEXTS], self._queue[MAX_BATCH_TEXTS:]
        for request in batch:
            request.is_dequeued = True
        try:
            vectors = self._run([request.text for request in batch])
        except EmbeddingError:
            return
        for request, vector in zip(batch, vectors, strict=True):
            request.vector = vector


class _Request:
    """A text to embed and its vector, None until the batch has run."""

    __slots__ = ("is_dequeued", "text", "vector")

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_dequeued = False
        self.vector: NDArray[np.float32] | None = None
