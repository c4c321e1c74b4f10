"""Any OpenAI-compatible endpoint as an embedder, on the ``openai`` SDK."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.errors import AnalystError, ConfigError, EmbeddingError
from memoryos.models.openai import connect, explain
from memoryos.models.vectors import count_bytes, unit_rows
from memoryos.models.windows import CHARACTERS_A_WINDOW, MAX_WINDOWS, worded_windows

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
SHORTENED_ON_REQUEST = "text-embedding-3-"
"""Models that give shorter vectors when asked; no other model is sent a wish."""
TEXTS_A_REQUEST = 32
"""What Text Embeddings Inference takes unless told otherwise; OpenAI takes 2,048 texts, others as few as ten."""
BYTES_A_TEXT = 8_000
"""No token is shorter than a byte, so that OpenAI's models, which read 8,191 tokens, read such a text whole."""
_TOO_MUCH = frozenset({400, 413, 422})
"""How endpoints answer when there are too many texts in a request, and when they dislike something else."""


class OpenAIEmbedder:
    """An ``Embedder`` behind an OpenAI-compatible endpoint.

    A request that is refused is sent again in halves: endpoints differ in how many texts they take at once.

    Args:
        model: Name of the model at that endpoint.
        api_key: Key of the endpoint.
        base_url: Its address; default: OpenAI's.
        dimensions: Length of the vectors; default: the natural one, where the model is one of OpenAI's.
        timeout_seconds: A call that is silent for so long has failed.
        max_retries: Further tries after a dropped connection, 408, 409, 429 or 5xx.
        concurrency: Calls at one time; further callers wait.

    Raises:
        ConfigError: If the length of the vectors is neither given nor known, or is not one that the model has.
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
        self._texts_a_request = TEXTS_A_REQUEST
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None

    @property
    def name(self) -> str:
        """Returns "openai/" and the model, wherever it runs, and "@" and the length where it is not the natural one."""
        suffix = f"@{self._dimensions}" if self._is_shortened else ""
        return f"openai/{self._model.removeprefix('openai/')}{suffix}"

    @property
    def dimensions(self) -> int:
        """Returns the length of every vector."""
        return self._dimensions

    def windows(self, text: str) -> list[str]:
        """Cuts a text into pieces of at most 4,000 characters and 8,000 bytes, between words; at most 64 of them.

        Raises:
            EmbeddingError: If the text is not encodable.
        """
        return [piece for window in worded_windows(text) for piece in _pieces(window)][:MAX_WINDOWS]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), dimensions]``, rows L2-normalised, in the order given.

        Of a text that is longer than a window its beginning is read.

        Raises:
            DimensionMismatchError: If the vectors have another length than promised.
            EmbeddingError: If the endpoint can't be reached, refuses, or sends anything but one vector a text; or if a
                text is not encodable, before any is sent.
        """
        read = [_pieces(text[:CHARACTERS_A_WINDOW])[0] or " " for text in texts]
        vectors = np.zeros((len(read), self._dimensions), np.float32)
        start = 0
        while start < len(read):
            end = min(start + self._texts_a_request, len(read))
            with _explained():
                vectors[start:end] = self._rows(read[start:end])
            start = end
        return vectors

    def close(self) -> None:
        """Closes the connections; a later call opens them anew."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _rows(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors of one request, or of its halves; what they took is remembered once both went well."""
        import openai  # noqa: PLC0415  (0.4 s that only the first call costs)

        try:
            rows = _ordered_rows(self._send(texts), len(texts))
            return unit_rows(rows, self._dimensions, "the embedding endpoint sent")
        except openai.APIStatusError as error:
            if error.status_code not in _TOO_MUCH or len(texts) == 1:
                raise
        half = (len(texts) + 1) // 2
        halves = [self._rows(texts[:half]), self._rows(texts[half:])]
        self._texts_a_request = min(self._texts_a_request, half)
        return np.concatenate(halves)

    def _send(self, texts: Sequence[str]) -> Any:
        """Returns the reply as plain JSON: the SDK's own types cost eight times as much as all the rest of it."""
        wish: dict[str, Any] = {"dimensions": self._dimensions} if self._is_shortened else {}
        client = self._connected()
        with self._slots:
            reply = client.embeddings.with_raw_response.create(
                model=self._model, input=list(texts), encoding_format="float", **wish
            )
        return reply.http_response.json()

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client


def _length(model: str, dimensions: int | None) -> tuple[int, bool]:
    """Returns the length of the vectors and whether it is a shortened one."""
    bare = model.rsplit("/", 1)[-1]
    natural = KNOWN_DIMENSIONS.get(bare)
    if natural is None:
        if dimensions is None:
            raise ConfigError(f"embedding_dimensions: set the length of the vectors of {model!r}, which is not known")
        return dimensions, False
    if dimensions is None or dimensions == natural:
        return natural, False
    if dimensions > natural or not bare.startswith(SHORTENED_ON_REQUEST):
        raise ConfigError(f"embedding_dimensions: the vectors of {model!r} have {natural} dimensions, not {dimensions}")
    return dimensions, True


def _pieces(window: str) -> list[str]:
    """Returns the window, or its halves, cut between words where there are any, until none has too many bytes."""
    if count_bytes(window) <= BYTES_A_TEXT:
        return [window]
    middle = len(window) // 2
    space = window.rfind(" ", middle // 2, middle)
    cut = middle if space == -1 else space + 1
    return [*_pieces(window[:cut]), *_pieces(window[cut:])]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        with explain("the embedding endpoint"):
            yield
    except AnalystError as error:
        raise EmbeddingError(str(error)) from error


def _ordered_rows(reply: Any, count: int) -> list[NDArray[np.float64]]:
    """Returns the vectors of a reply in the order of its ``index``."""
    rows = {each["index"]: each["embedding"] for each in reply["data"]}
    if len(reply["data"]) != count:
        raise EmbeddingError(f"the embedding endpoint sent {len(reply['data'])} vectors for {count} texts")
    if rows.keys() != set(range(count)):
        raise EmbeddingError("the embedding endpoint did not say which vector belongs to which text")
    return [np.asarray(rows[number], np.float64) for number in range(count)]
