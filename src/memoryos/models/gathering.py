"""Texts that threads ask to embed at the same moment share a run of the model, which costs little more than one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from memoryos.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST_TEXTS", "Gathering"]

MOST_TEXTS = 16
"""Texts that share a run at most."""


class Gathering:
    """Embeds single texts of many threads, one run at a time.

    Whoever has the turn runs the model for all that wait by then. Nobody waits for company, so a thread alone pays
    nothing. A text that spoils a run is on its own: the others are run again without it.

    Args:
        run: Returns ``float32[len(texts), dimensions]``; a text has the same vector whatever else is in the call.
    """

    def __init__(self, run: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        self._run = run
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: list[_Asked] = []

    def embed(self, text: str) -> NDArray[np.float32]:
        """Returns ``float32[dimensions]``.

        Raises:
            EmbeddingError: As the model does for this text.
        """
        asked = _Asked(text)
        with self._lock:
            self._waiting.append(asked)
        with self._turn:
            while not asked.is_taken:
                self._run_those_that_wait()
        return self._run([text])[0] if asked.vector is None else asked.vector

    def _run_those_that_wait(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting[:MOST_TEXTS], self._waiting[MOST_TEXTS:]
        for asked in taken:
            asked.is_taken = True
        try:
            vectors = self._run([asked.text for asked in taken])
        except EmbeddingError:
            return
        for asked, vector in zip(taken, vectors, strict=True):
            asked.vector = vector


class _Asked:
    """A text and, once it was run, its vector."""

    __slots__ = ("is_taken", "text", "vector")

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_taken = False
        self.vector: NDArray[np.float32] | None = None
