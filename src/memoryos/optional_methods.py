"""Supplies defaults for methods that embedders, analysts and chat models may leave out.

``memoryos.seams`` declares these optional methods. Code that receives an embedder, analyst or chat model calls
``CompleteEmbedder`` or ``close_method`` once. After that it need not check for missing methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.seams import Closeable, Embedder, Immediate, LanguageLimited, QueryEmbedder

__all__ = ["CompleteEmbedder", "close_method", "reads_immediately"]


class CompleteEmbedder:
    """Adapter that adds the optional members ``embed_queries`` and ``languages`` to any ``Embedder``.

    Members of the wrapped embedder take precedence over the defaults. The adapter finds them by attribute access.
    ``isinstance`` would not find members that another wrapper forwards in ``__getattr__``.

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
        """Returns the codes of the supported languages, e.g. "en". None, the default, means all languages."""
        try:
            return cast("LanguageLimited", self._embedder).languages
        except AttributeError:
            return None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of texts, computed by the wrapped embedder."""
        return self._embedder.embed(texts)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of questions. Calls ``embed`` if the wrapped embedder has no ``embed_queries``."""
        return self._embed_queries(texts)


def close_method(resource: object) -> Callable[[], None]:
    """Returns the ``close`` method of an embedder, analyst or chat model.

    If the object has no such method, the function returns another function that does nothing.
    """
    try:
        return cast("Closeable", resource).close
    except AttributeError:
        return _do_nothing


def reads_immediately(analyst: object) -> bool:
    """Returns whether an analyst reads pages as soon as possible; False if it has no ``reads_immediately``."""
    try:
        return cast("Immediate", analyst).reads_immediately
    except AttributeError:
        return False


def _query_method(embedder: Embedder) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    try:
        return cast("QueryEmbedder", embedder).embed_queries
    except AttributeError:
        return embedder.embed


def _do_nothing() -> None:
    return
