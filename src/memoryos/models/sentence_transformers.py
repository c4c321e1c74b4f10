"""An embedder for the models of the optional package ``sentence-transformers``, downloaded or from a folder."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.errors import EmbeddingError
from memoryos.models.unit_vectors import MAX_TEXT_CHARACTERS, count_bytes, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SentenceTransformersEmbedder", "is_installed"]

PACKAGE = "sentence_transformers"
INSTALL = 'pip install "memoryos-engine[sentence-transformers]"'
BATCH_TEXTS = 32
_PROMPTS = ("document", "passage", "corpus")
"""Names of the prompts that models define for stored texts."""
_RUNTIME_OPTIONS = frozenset(
    {"cache_folder", "device", "local_files_only", "similarity_fn_name", "token", "trust_remote_code"}
)
"""Options for loading and running the model. All other options may change its vectors."""


def is_installed() -> bool:
    """Returns whether the package is installed, without importing it."""
    return importlib.util.find_spec(PACKAGE) is not None


class SentenceTransformersEmbedder:
    """An ``Embedder`` on a model of ``sentence-transformers``.

    Stored texts get the model's default prompt, otherwise its document prompt, otherwise none. Questions get the query
    prompt, otherwise the prompt of stored texts.

    Args:
        model: Name of the model on the Hugging Face hub, or a folder.
        dimensions: Length of the vectors; default: read from the model, which must be loaded for that.
        kwargs: Options of ``SentenceTransformer``, for example ``device``, ``truncate_dim``, ``prompts``.
    """

    def __init__(self, model: str, *, dimensions: int | None = None, kwargs: Mapping[str, Any] | None = None) -> None:
        self._model = model
        self._dimensions = dimensions
        self._kwargs = dict(kwargs or {})
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        """Returns "sentence-transformers/" and the model; with options that change vectors also "#" and their hash."""
        options = {name: value for name, value in self._kwargs.items() if name not in _RUNTIME_OPTIONS}
        serialized = json.dumps(options, sort_keys=True, default=str)
        suffix = f"#{hashlib.sha256(serialized.encode()).hexdigest()[:8]}" if options else ""
        return f"sentence-transformers/{self._model.removeprefix('sentence-transformers/')}{suffix}"

    @property
    def dimensions(self) -> int:
        """Returns the length of every vector; loads the model if the length was not given.

        Raises:
            EmbeddingError: If the model can't be loaded or does not report a length.
        """
        if self._dimensions is None:
            with self._lock:
                self._dimensions = self._load().dimensions
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), dimensions]``, rows L2-normalised, in the order given.

        Raises:
            DimensionMismatchError: If the vectors have an unexpected length.
            EmbeddingError: If the package is missing, the model fails, or a text contains lone surrogates.
        """
        return self._embed(texts, is_query=False)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of questions, in the form of ``embed``.

        Raises:
            DimensionMismatchError: As for ``embed``.
            EmbeddingError: As for ``embed``.
        """
        return self._embed(texts, is_query=True)

    def _embed(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        prepared = [_non_blank(text[:MAX_TEXT_CHARACTERS]) for text in texts]
        dimensions = self.dimensions
        if not prepared:
            return np.zeros((0, dimensions), np.float32)
        with self._lock:
            loaded = self._load()
            with _translated_errors(f"the embedding model {self._model!r} failed on the texts"):
                matrix = loaded.encode(prepared, is_query=is_query)
        if matrix.ndim != 2 or len(matrix) != len(prepared):  # noqa: PLR2004  (rows and columns)
            raise EmbeddingError(
                f"the embedding model returned an array of shape {matrix.shape} for {len(prepared)} texts"
            )
        return unit_rows(matrix, dimensions, "the embedding model")

    def _load(self) -> _Loaded:
        """Returns the model. The caller holds the lock, because the library's tokenizer is not thread-safe."""
        if self._loaded is None:
            library = _library()
            with _translated_errors(f"the embedding model {self._model!r} can't be loaded", with_reason=True):
                self._loaded = _Loaded.of(library.SentenceTransformer(self._model, **self._kwargs))
        return self._loaded


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A loaded model.

    Attributes:
        model: The ``SentenceTransformer``.
        prompt: Prefix of stored texts.
        query_prompt: Prefix of questions; None for the prefix of stored texts.
    """

    model: Any
    prompt: str
    query_prompt: str | None

    @classmethod
    def of(cls, model: Any) -> _Loaded:
        names = [model.default_prompt_name, *_PROMPTS]
        prompt = next((found for name in names if name and (found := model.prompts.get(name))), "")
        return cls(model, prompt, model.prompts.get("query") or None)

    @property
    def dimensions(self) -> int:
        found: int | None = self.model.get_embedding_dimension()
        if found is None:
            raise EmbeddingError("embedding_dimensions: the model does not report its vector length; set it")
        return found

    def encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float64]:
        """Returns one row per text; encodes questions as stored texts if the model has no query prompt."""
        as_query = is_query and self.query_prompt is not None
        encode = self.model.encode_query if as_query else self.model.encode_document
        prompt = self.query_prompt if as_query else self.prompt
        found = encode(list(texts), prompt=prompt, batch_size=BATCH_TEXTS, show_progress_bar=False)
        return np.asarray(found, np.float64)


def _library() -> Any:
    try:
        return importlib.import_module(PACKAGE)
    except ImportError as error:
        raise EmbeddingError(f"the package {PACKAGE} is missing or broken; install it with: {INSTALL}") from error


def _non_blank(text: str) -> str:
    """Returns the text, or a full stop if it is blank, because some models return zeros for blank texts."""
    count_bytes(text)
    return text if text.strip() else "."


@contextlib.contextmanager
def _translated_errors(message: str, *, with_reason: bool = False) -> Iterator[None]:
    """Converts errors of the library to ``EmbeddingError``.

    Args:
        message: The text of the ``EmbeddingError``; the class of the library's error is added.
        with_reason: Whether the text of the library's error is added too. Set it only if that text can't quote user
            data.
    """
    try:
        yield
    except (
        OSError,
        RuntimeError,
        ImportError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        reason = f"{type(error).__name__}: {error}" if with_reason else type(error).__name__
        raise EmbeddingError(f"{message}: {reason}") from error
