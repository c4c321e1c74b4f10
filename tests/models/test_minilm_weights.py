"""The weights of the built-in embedder: two sources, each checked by its hash, give the same numbers."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.assembly import build_embedder
from memoryos.config import Config
from memoryos.errors import EmbeddingError
from memoryos.models import minilm_weights
from memoryos.models.minilm import MiniLM
from memoryos.models.minilm_weights import PACKAGES, SCALE, packaged_file, read_weights

Tensors = dict[str, NDArray[Any]]
PRODUCT_SIZES = {(384, 384): 24, (384, 1536): 6, (1536, 384): 6}


@pytest.fixture(scope="module")
def weights() -> Tensors:
    return read_weights()


def to_safetensors(weights: Tensors) -> bytes:
    """Returns the weights in fp32, in the layout of the original model's file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = bytearray()
    for name, tensor in weights.items():
        if name.endswith(SCALE):
            continue
        original = tensor * weights[name + SCALE] if tensor.dtype == np.int8 else tensor
        original = original.T if tensor.dtype == np.int8 and name.startswith("encoder.") else original
        content = np.ascontiguousarray(original, np.float32).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(original.shape),
            "data_offsets": [len(body), len(body) + len(content)],
        }
        body += content
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + body


@pytest.fixture(scope="module")
def original_file(weights: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("original") / "model.safetensors"
    file.write_bytes(to_safetensors(weights))
    return file


@pytest.fixture
def trusts_original_file(original_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(original_file.read_bytes()).hexdigest()
    monkeypatch.setattr(minilm_weights, "SAFETENSORS_SHA256", digest)


def test_every_matrix_of_a_product_is_int8_with_one_scale_per_channel(weights: Tensors) -> None:
    sizes: dict[tuple[int, ...], int] = {}
    for name, tensor in weights.items():
        if name.startswith("encoder.") and tensor.ndim == 2:
            assert tensor.dtype == np.int8
            assert weights[name + SCALE].shape == (tensor.shape[1],)
            assert (np.abs(tensor).max(axis=0) == 127).all()
            sizes[tensor.shape] = sizes.get(tensor.shape, 0) + 1
    assert sizes == PRODUCT_SIZES


@pytest.mark.usefixtures("trusts_original_file")
def test_original_file_is_quantised_to_the_same_numbers(weights: Tensors, original_file: Path) -> None:
    quantised = read_weights(original_file)
    assert quantised.keys() == weights.keys()
    for name, tensor in weights.items():
        assert quantised[name].dtype == tensor.dtype, name
        assert quantised[name].shape == tensor.shape, name
        assert np.allclose(quantised[name], tensor, rtol=1e-6, atol=0), name


@pytest.mark.usefixtures("trusts_original_file")
def test_setting_names_the_file_with_the_weights(original_file: Path, tmp_path: Path) -> None:
    embedder = build_embedder(Config(data_storage_path=tmp_path, embedding_model_path=original_file))
    texts = ["A dog runs in the park.", "The interest rate rose again."]
    assert embedder.name == MiniLM().name
    assert np.allclose(embedder.embed(texts), MiniLM().embed(texts), atol=1e-3)


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[int, Path | bytes]) -> None:
    """Makes only these packages importable, by their numbers in ``PACKAGES``, each with its file of weights."""
    for number, content in files.items():
        module = folder / PACKAGES[number].name.replace("-", "_")
        target = module / PACKAGES[number].file
        target.parent.mkdir(parents=True)
        (module / "__init__.py").touch()
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copy(content, target)
    monkeypatch.setattr("sys.path", [str(folder)])


@pytest.mark.usefixtures("trusts_original_file")
@pytest.mark.parametrize("first", [None, b"damaged"], ids=["missing", "damaged"])
def test_second_package_replaces_a_lost_first_package(
    weights: Tensors, original_file: Path, first: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, {1: original_file} | ({} if first is None else {0: first}))
    assert read_weights().keys() == weights.keys()


def test_first_package_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = packaged_file(PACKAGES[0])
    assert first is not None
    installed(tmp_path, monkeypatch, {0: first, 1: b"never read"})
    read_weights()


@pytest.mark.parametrize("files", [{}, {0: b"damaged"}, {0: b"damaged", 1: b"damaged too"}])
def test_without_a_valid_file_the_error_names_every_source(
    files: dict[int, Path | bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, files)
    with pytest.raises(EmbeddingError) as caught:
        MiniLM().embed(["x"])
    message = str(caught.value)
    assert message.count("checksum") == len(files)
    for words in (PACKAGES[0].install, PACKAGES[1].install, "embedding_model_path"):
        assert message.count(words) == 1


@pytest.mark.parametrize("damage", ["one byte", "cut off", "longer"])
def test_changed_file_is_rejected(damage: str, tmp_path: Path) -> None:
    source = packaged_file(PACKAGES[0])
    assert source is not None
    content = bytearray(source.read_bytes())
    if damage == "one byte":
        content[12_000_000] ^= 1
    file = tmp_path / "model.onnx"
    file.write_bytes(content[:-1] if damage == "cut off" else content + b"\0" * (damage == "longer"))
    with pytest.raises(EmbeddingError, match=r"unknown checksum.*pip install"):
        read_weights(file)


def test_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"can't be read.*pip install"):
        read_weights(tmp_path / "model.safetensors")
    with pytest.raises(EmbeddingError, match=r"can't be read.*pip install"):
        read_weights(tmp_path)
