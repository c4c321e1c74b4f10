"""Defaults for the optional methods of the protocols in ``memoryos.seams``.

Wrap an embedder in ``CompleteEmbedder`` or call ``close_method`` once, at construction; later calls need no check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.seams import Closeable, Embedder, LanguageLimited, QueryEmbedder

__all__ = ["CompleteEmbedder", "close_method"]


class CompleteEmbedder:
    """Adapter that adds the optional methods ``embed_queries`` and ``languages`` to any ``Embedder``.

    Methods of the wrapped embedder take precedence over the defaults. They are looked up by attribute access, not by
    ``isinstance``, because ``isinstance`` misses methods that a wrapper forwards in ``__getattr__``.

    Args:
        embedder: The embedder to wrap.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._embed_queries = _query_method(embedder)

    @property
    def name(self) -> str:
        """Returns the name of the wrapped embedder."""
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        """Returns the length of every vector."""
        return self._embedder.dimensions

    @property
    def languages(self) -> frozenset[str] | None:
        """Returns the codes of the supported languages; None for no limit, the default."""
        try:
            return cast("LanguageLimited", self._embedder).languages
        except AttributeError:
            return None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of stored texts."""
        return self._embedder.embed(texts)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of questions; calls ``embed`` if the wrapped embedder has no ``embed_queries``."""
        return self._embed_queries(texts)


def close_method(resource: object) -> Callable[[], None]:
    """Returns the ``close`` method of an embedder, analyst or chat model; a function without effect if it has none."""
    try:
        return cast("Closeable", resource).close
    except AttributeError:
        return _do_nothing


def _query_method(embedder: Embedder) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    try:
        return cast("QueryEmbedder", embedder).embed_queries
    except AttributeError:
        return embedder.embed


def _do_nothing() -> None:
    return
