"""The built-in embedder: all-MiniLM-L6-v2 in int8 on ONNX Runtime, without a download or PyTorch."""

from __future__ import annotations

import os
import threading
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from memoryos.models.language_means import LanguageMeans
from memoryos.models.minilm_weights import read_weights
from memoryos.models.unit_vectors import MAX_TEXT_CHARACTERS, tokenize, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.abc import Traversable
    from pathlib import Path

    import onnxruntime
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

__all__ = ["MODEL_NAMES", "MiniLM"]

MODEL_NAMES = frozenset({"all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "minilm"})
"""Values of ``embedding_model_name`` that select this embedder."""

DIMENSIONS = 384
MEANS = LanguageMeans("all-MiniLM-L6-v2")
MAX_TOKENS = 256
MAX_BATCH_TOKENS = 256
"""Maximum padded tokens in one run of the model. Larger runs need more memory and are not faster."""


class MiniLM:
    """An ``Embedder`` on all-MiniLM-L6-v2: 384 dimensions, mean pooling, L2-normalised, at most 256 tokens of a text.

    Products with weights are computed in int8 (weights: one scale per channel; activations: one scale per token). The
    vectors of a text in int8 and in fp32 have a mean cosine of 0.997. A text has the same vector alone and in a batch.
    Versions of ONNX Runtime round differently: the vectors of a text in two versions have a mean cosine of 0.999 and a
    lowest cosine of 0.991.

    The model was trained on English. The mean direction of other languages is removed from their vectors.

    Args:
        model_file: The file with the weights; default: see ``memoryos.models.minilm_weights``. Its SHA-256 is checked.
        threads: Threads per run. One thread was fastest: see ``docs/adr/0002-embedder.md``.
    """

    def __init__(self, model_file: Path | None = None, *, threads: int = 1) -> None:
        self._model_file = model_file
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: tuple[onnxruntime.InferenceSession, Tokenizer] | None = None

    @property
    def name(self) -> str:
        """Returns "all-MiniLM-L6-v2/w8a8/by-language": 8-bit weights, 8-bit activations."""
        return "all-MiniLM-L6-v2/w8a8/by-language"

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

        Computes texts of similar length together: one call with many texts is faster than several small calls.

        Raises:
            EmbeddingError: If no valid file with the weights is found, or a text contains lone surrogates.
        """
        rows = self.raw(texts)
        corrected = MEANS.removed_from(rows, texts)
        return rows if np.array_equal(corrected, rows) else unit_rows(corrected, DIMENSIONS, "the embedding model")

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

    def _load(self) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _session(self._model_file, self._threads), _tokenizer()
            return self._loaded


def _session(file: Path | None, threads: int) -> onnxruntime.InferenceSession:
    # onnxruntime starts telemetry threads, which keep a forked child from exiting.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415  (takes 100 ms and 40 MB)

    weights = {name: onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for name, tensor in read_weights(file).items()}
    options = onnxruntime.SessionOptions()
    options.add_external_initializers(list(weights), list(weights.values()))
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if _saturates():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        _asset("int8.onnx").read_bytes(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],  # the fused operator takes ten times as long on a CPU
    )


@cache
def _saturates() -> bool:
    """Returns whether int8 products are inexact on this processor.

    They are inexact on x86 processors without VNNI, which limit partial sums to 16 bits. ONNX Runtime then needs the
    option "x64quantprecision", which is exact but slower. The option is set only where the products are inexact,
    because ONNX Runtime would also apply it on processors with VNNI.
    """
    import onnxruntime  # noqa: PLC0415  (as above)

    probe = onnxruntime.InferenceSession(_asset("int8-probe.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    (values,) = probe.get_inputs()
    largest = np.full(values.shape, 255, np.uint8)
    (sums,) = probe.run(None, {values.name: largest})
    return bool((sums != 255 * 127 * values.shape[0]).any())


def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer  # noqa: PLC0415  (as above)

    tokenizer = Tokenizer.from_str(_asset("tokenizer.json").read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _asset(name: str) -> Traversable:
    return resources.files("memoryos.models") / "assets" / "all-MiniLM-L6-v2" / name


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
    ids = np.zeros((len(encodings), max(min(len(each.ids), MAX_TOKENS) for each in encodings)), np.int32)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        kept = encoding.ids if len(encoding.ids) <= MAX_TOKENS else [*encoding.ids[: MAX_TOKENS - 1], encoding.ids[-1]]
        ids[row, : len(kept)] = kept
        mask[row, : len(kept)] = 1
    (sums,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)
