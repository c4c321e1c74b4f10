"""Any model of the optional package ``sentence-transformers`` as an embedder: downloaded by it, or in a folder."""

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
from memoryos.models.vectors import count_bytes, unit_rows
from memoryos.models.windows import CHARACTERS_A_WINDOW, tokenized_windows, worded_windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

__all__ = ["SentenceTransformersEmbedder", "is_installed"]

PACKAGE = "sentence_transformers"
INSTALL = 'pip install "memoryos-engine[sentence-transformers]"'
TEXTS_A_RUN = 32
MAX_TOKENS_KNOWN = 1_000_000
"""Tokenizers that know no limit say so with a number that is larger than any."""
_PROMPTS = ("document", "passage", "corpus")
"""Under which names models keep the words that belong before a text that is stored."""
_NOT_OF_THE_MODEL = frozenset(
    {"cache_folder", "device", "local_files_only", "similarity_fn_name", "token", "trust_remote_code"}
)
"""Options that say where the model comes from and where it runs; every other one may change its vectors."""


def is_installed() -> bool:
    """Returns whether the package is there; it is not imported."""
    return importlib.util.find_spec(PACKAGE) is not None


class SentenceTransformersEmbedder:
    """An ``Embedder`` on a model of ``sentence-transformers``.

    What is remembered gets the model's default prompt, else the one that it has for documents, else none. Questions get
    the prompt that it has for queries, else the same.

    Args:
        model: Name of the model on the Hugging Face hub, or a folder.
        dimensions: Length of the vectors; default: the model is loaded to see.
        kwargs: Options of ``SentenceTransformer``, as ``device``, ``truncate_dim``, ``prompts``, ``model_kwargs``.
    """

    def __init__(self, model: str, *, dimensions: int | None = None, kwargs: Mapping[str, Any] | None = None) -> None:
        self._model = model
        self._dimensions = dimensions
        self._kwargs = dict(kwargs or {})
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        """Returns "sentence-transformers/", the model, and "#" and a hash of the options that may change vectors."""
        options = {name: value for name, value in self._kwargs.items() if name not in _NOT_OF_THE_MODEL}
        told = json.dumps(options, sort_keys=True, default=str)
        suffix = f"#{hashlib.sha256(told.encode()).hexdigest()[:8]}" if options else ""
        return f"sentence-transformers/{self._model.removeprefix('sentence-transformers/')}{suffix}"

    @property
    def dimensions(self) -> int:
        """Returns the length of every vector; where it was not given, the model is loaded to see.

        Raises:
            EmbeddingError: If the model can't be loaded or does not know.
        """
        if self._dimensions is None:
            with self._lock:
                self._dimensions = self._load().dimensions
        return self._dimensions

    def windows(self, text: str) -> list[str]:
        """Cuts a text into pieces that the model reads whole, of at most 4,000 characters, between words; at most 64.

        Raises:
            EmbeddingError: If the model can't be loaded or the text is not encodable.
        """
        with self._lock:
            loaded = self._load()
        if loaded.tokenizer is None or loaded.room is None:
            return worded_windows(text)
        return tokenized_windows(loaded.tokenizer, text, loaded.room)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), dimensions]``, rows L2-normalised, in the order given.

        Raises:
            DimensionMismatchError: If the vectors have another length than promised.
            EmbeddingError: If the package is missing, the model can't be loaded or fails, or a text is not encodable.
        """
        return self._embed(texts, is_query=False)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the same for questions.

        Raises:
            DimensionMismatchError: As ``embed``.
            EmbeddingError: As ``embed``.
        """
        return self._embed(texts, is_query=True)

    def _embed(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        read = [_readable(text[:CHARACTERS_A_WINDOW]) for text in texts]
        dimensions = self.dimensions
        if not read:
            return np.zeros((0, dimensions), np.float32)
        with self._lock:
            loaded = self._load()
            with _explained(f"the embedding model {self._model!r} can't read the texts"):
                matrix = loaded.encode(read, is_query=is_query)
        if matrix.ndim != 2 or len(matrix) != len(read):  # noqa: PLR2004  (rows and columns)
            raise EmbeddingError(f"the embedding model gave an array of shape {matrix.shape} for {len(read)} texts")
        return unit_rows(matrix, dimensions, "the embedding model gave")

    def _load(self) -> _Loaded:
        """Returns the model; the caller holds the lock, which also keeps threads off the library's tokenizer."""
        if self._loaded is None:
            library = _library()
            with _explained(f"the embedding model {self._model!r} can't be loaded", is_told=True):
                self._loaded = _Loaded.of(library.SentenceTransformer(self._model, **self._kwargs))
        return self._loaded


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model, what goes before a text and before a question (None: the same), its tokenizer and how much it reads."""

    model: Any
    prompt: str
    query_prompt: str | None
    tokenizer: Tokenizer | None
    room: int | None

    @classmethod
    def of(cls, model: Any) -> _Loaded:
        names = [model.default_prompt_name, *_PROMPTS]
        prompt = next((found for name in names if name and (found := model.prompts.get(name))), "")
        tokenizer = _unbounded_tokenizer(getattr(model, "tokenizer", None))
        room = tokenizer and _room(tokenizer, model.max_seq_length, prompt)
        return cls(model, prompt, model.prompts.get("query") or None, tokenizer, room)

    @property
    def dimensions(self) -> int:
        found: int | None = self.model.get_embedding_dimension()
        if found is None:
            raise EmbeddingError("embedding_dimensions: set the length of the model's vectors; it does not know")
        return found

    def encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float64]:
        """Returns a vector a text, in one batch or alone the same; a question as a document if it has no own prompt."""
        as_query = is_query and self.query_prompt is not None
        encode = self.model.encode_query if as_query else self.model.encode_document
        prompt = self.query_prompt if as_query else self.prompt
        found = encode(list(texts), prompt=prompt, batch_size=TEXTS_A_RUN, show_progress_bar=False)
        return np.asarray(found, np.float64)


def _library() -> Any:
    try:
        return importlib.import_module(PACKAGE)
    except ImportError as error:
        raise EmbeddingError(f"the embedder needs a package that is missing or broken; {INSTALL}") from error


def _unbounded_tokenizer(tokenizer: Any) -> Tokenizer | None:
    """Returns a copy of the fast tokenizer that neither cuts nor pads, as the model's own does once it was used."""
    fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(fast, "to_str"):
        return None
    from tokenizers import Tokenizer  # noqa: PLC0415  (only models with a fast tokenizer need it)

    copy = Tokenizer.from_str(fast.to_str())
    copy.no_padding()
    copy.no_truncation()
    return copy


def _room(tokenizer: Tokenizer, max_tokens: float | None, prompt: str) -> int | None:
    """Returns how many tokens of a text are read; one is left for the mark that may open a piece of a word."""
    if max_tokens is None or max_tokens > MAX_TOKENS_KNOWN:
        return None
    before = len(tokenizer.encode(prompt, add_special_tokens=False).ids)
    return max(1, int(max_tokens) - tokenizer.num_special_tokens_to_add(is_pair=False) - before - 1)


def _readable(text: str) -> str:
    """Returns the text, or a full stop for a blank one, of which some models read nothing and make zeros."""
    count_bytes(text)
    return text if text.strip() else "."


@contextlib.contextmanager
def _explained(what: str, *, is_told: bool = False) -> Iterator[None]:
    """Turns the library's errors into ours; what they say is told where it can't be about a text."""
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
        reason = f"{type(error).__name__}: {error}" if is_told else type(error).__name__
        raise EmbeddingError(f"{what}: {reason}") from error
