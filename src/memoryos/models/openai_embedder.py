"""An embedder for any OpenAI-compatible endpoint, built on the ``openai`` SDK."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.errors import AnalystError, ConfigError, EmbeddingError
from memoryos.models.openai import connect, translate_errors
from memoryos.models.unit_vectors import MAX_TEXT_CHARACTERS, count_bytes, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import openai
    from numpy.typing import NDArray

__all__ = ["OpenAIEmbedder"]

KNOWN_DIMENSIONS = {
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
}
SHORTENABLE_PREFIX = "text-embedding-3-"
"""Prefix of the models with a ``dimensions`` parameter; it is not sent to other models."""
MAX_TEXTS_PER_REQUEST = 32
"""Default limit of the server Text Embeddings Inference. OpenAI allows 2,048 texts; some endpoints allow only ten."""
MAX_TEXT_BYTES = 8_000
"""A token has at least one byte, so a text of this size fits the limit of 8,191 tokens of OpenAI's models."""
_TOO_LARGE_STATUSES = frozenset({400, 413, 422})
"""Status codes for too many texts in a request; endpoints also use them for other errors."""


class OpenAIEmbedder:
    """An ``Embedder`` for an OpenAI-compatible endpoint.

    A rejected request is split in halves and sent again, because endpoints have different limits of texts per request.

    Args:
        model: Name of the model at the endpoint.
        api_key: API key of the endpoint.
        base_url: Address of the endpoint; default: OpenAI's.
        dimensions: Length of the vectors; default: the full length, known for OpenAI's models only.
        timeout_seconds: Maximum time without data from the endpoint.
        max_retries: Number of retries after a dropped connection or status 408, 409, 429 or 5xx.
        concurrency: Maximum number of concurrent calls; further callers wait.

    Raises:
        ConfigError: If the length of the vectors is neither given nor known, or the model does not support it.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None,
        base_url: str | None = None,
        dimensions: int | None = None,
        timeout_seconds: float = 60.0,
        max_retries: int = 2,
        concurrency: int = 16,
    ) -> None:
        self._model = model
        self._dimensions, self._is_shortened = _length(model, dimensions)
        self._connect = functools.partial(connect, api_key, base_url, timeout_seconds, max_retries, concurrency)
        self._max_texts = MAX_TEXTS_PER_REQUEST
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None

    @property
    def name(self) -> str:
        """Returns "openai/" and the name of the model, for any endpoint.

        If the vectors are shortened, "@" and their length follow.
        """
        suffix = f"@{self._dimensions}" if self._is_shortened else ""
        return f"openai/{self._model.removeprefix('openai/')}{suffix}"

    @property
    def dimensions(self) -> int:
        """Returns the length of every vector."""
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), dimensions]``, rows L2-normalised, in the order given.

        Only the first 4,000 characters or 8,000 bytes of a text are read.

        Raises:
            DimensionMismatchError: If the vectors have an unexpected length.
            EmbeddingError: If the endpoint can't be reached, rejects the request, or does not return one vector per
                text; or, before a request is sent, if a text contains lone surrogates.
        """
        prepared = [_shortened(text) for text in texts]
        vectors = np.zeros((len(prepared), self._dimensions), np.float32)
        start = 0
        while start < len(prepared):
            end = min(start + self._max_texts, len(prepared))
            with _translated_errors():
                vectors[start:end] = self._rows(prepared[start:end])
            start = end
        return vectors

    def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of some texts, in one request if the endpoint accepts it.

        If the endpoint rejects the request, each half of the texts is sent separately. Later requests then have at most
        as many texts as a half.
        """
        import openai  # noqa: PLC0415  (takes 0.4 s)

        try:
            rows = _ordered_rows(self._send(texts), len(texts))
            return unit_rows(rows, self._dimensions, "the embedding endpoint")
        except openai.APIStatusError as error:
            if error.status_code not in _TOO_LARGE_STATUSES or len(texts) == 1:
                raise
        half = (len(texts) + 1) // 2
        halves = [self._rows(texts[:half]), self._rows(texts[half:])]
        self._max_texts = min(self._max_texts, half)
        return np.concatenate(halves)

    def _send(self, texts: Sequence[str]) -> Any:
        """Returns the reply as plain JSON.

        Parsing it into the SDK's types would take eight times as long as the rest of the call.
        """
        options: dict[str, Any] = {"dimensions": self._dimensions} if self._is_shortened else {}
        client = self._connected()
        with self._slots:
            reply = client.embeddings.with_raw_response.create(
                model=self._model, input=list(texts), encoding_format="float", **options
            )
        return reply.http_response.json()

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client


def _length(model: str, dimensions: int | None) -> tuple[int, bool]:
    """Returns the length of the vectors, and whether the endpoint must shorten them to this length."""
    bare = model.rsplit("/", 1)[-1]
    full_length = KNOWN_DIMENSIONS.get(bare)
    if full_length is None:
        if dimensions is None:
            raise ConfigError(f"embedding_dimensions: the vector length of the model {model!r} is unknown; set it")
        return dimensions, False
    if dimensions is None or dimensions == full_length:
        return full_length, False
    if dimensions > full_length or not bare.startswith(SHORTENABLE_PREFIX):
        raise ConfigError(
            f"embedding_dimensions: the vectors of {model!r} have {full_length} dimensions, not {dimensions}"
        )
    return dimensions, True


def _shortened(text: str) -> str:
    """Returns the part of a text that is sent: at most 4,000 characters and 8,000 bytes; never empty."""
    read = text[:MAX_TEXT_CHARACTERS]
    if count_bytes(read) > MAX_TEXT_BYTES:
        read = read.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
    return read or " "


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        with translate_errors("the embedding endpoint"):
            yield
    except AnalystError as error:
        raise EmbeddingError(str(error)) from error


def _ordered_rows(reply: Any, count: int) -> list[NDArray[np.float64]]:
    """Returns the vectors of a reply in the order of their field ``index``, which is the order of the texts."""
    rows = {each["index"]: each["embedding"] for each in reply["data"]}
    if len(reply["data"]) != count:
        raise EmbeddingError(
            f"the embedding endpoint sent {len(reply['data'])} vectors for {count} texts; check the model"
        )
    if rows.keys() != set(range(count)):
        raise EmbeddingError("the embedding endpoint numbered its vectors wrongly, so they can't be matched to texts")
    return [np.asarray(rows[number], np.float64) for number in range(count)]
