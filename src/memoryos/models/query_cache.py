"""An embedder with a cache of query vectors: one query in many scopes is embedded once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from memoryos.optional_methods import CompleteEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.seams import Embedder

__all__ = ["QueryCache"]


class QueryCache(CompleteEmbedder):
    """An ``Embedder`` that keeps the vectors of recent queries in an LRU cache.

    Args:
        embedder: The embedder to wrap.
        capacity: Number of cached queries.
    """

    def __init__(self, embedder: Embedder, capacity: int = 16) -> None:
        super().__init__(embedder)
        self._embed_one = lru_cache(maxsize=capacity)(lambda text: self._embed_queries([text]))

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of questions; a call with one text uses the cache, a batch does not."""
        return self._embed_one(texts[0]).copy() if len(texts) == 1 else self._embed_queries(texts)
