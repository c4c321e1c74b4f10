"""An embedder that embeds the same query once, in however many memories and under however many settings it is asked."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.seams import Embedder

__all__ = ["OnceAQuery"]


class OnceAQuery:
    """An ``Embedder`` that keeps the vectors of the last questions that came alone.

    Args:
        embedder: Who embeds.
        kept: Of how many texts.
    """

    def __init__(self, embedder: Embedder, kept: int = 16) -> None:
        self._embedder = embedder
        self._ask = getattr(embedder, "embed_queries", embedder.embed)
        self._once = lru_cache(maxsize=kept)(lambda text: self._ask([text]))

    @property
    def name(self) -> str:
        """Returns the name of the other one, whose vectors these are."""
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        """Returns the length of every vector."""
        return self._embedder.dimensions

    @property
    def languages(self) -> frozenset[str] | None:
        """Returns the languages that the model knows, None where it does not say."""
        return getattr(self._embedder, "languages", None)

    def windows(self, text: str) -> list[str]:
        """Cuts a text as the other one does."""
        return self._embedder.windows(text)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of the other one."""
        return self._embedder.embed(texts)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of questions; a single one's is kept for a while."""
        return self._once(texts[0]).copy() if len(texts) == 1 else self._ask(texts)
