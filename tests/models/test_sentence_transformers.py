"""The embedder on sentence-transformers, with a fake of the library that has its signatures (6.2) and no torch."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from importlib import resources
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from memoryos.errors import DimensionMismatchError, EmbeddingError
from memoryos.models.sentence_transformers import SentenceTransformersEmbedder, is_installed

PACKAGE = "sentence_transformers"
DIMENSIONS = 6
MAX_TOKENS = 32
TOKENS = np.random.default_rng(1).normal(size=(31_000, DIMENSIONS))
Change = Callable[[NDArray[np.float32]], Any]


def fast_tokenizer() -> Tokenizer:
    """Returns a tokenizer with truncation and padding enabled, as the library configures it."""
    file = resources.files("memoryos.models") / "assets" / "all-MiniLM-L6-v2" / "tokenizer.json"
    tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return tokenizer


class Library(ModuleType):
    """Fake module: configures its models and records their use."""

    def __init__(self) -> None:
        super().__init__(PACKAGE)
        self.__spec__ = ModuleSpec(PACKAGE, None)
        self.made: list[tuple[str | None, dict[str, Any]]] = []
        self.calls: list[dict[str, Any]] = []
        self.read: list[str] = []
        self.asked: list[str] = []
        self.saved_prompts: dict[str, str] = {}
        self.saved_default: str | None = None
        self.dimensions: int | None = DIMENSIONS
        self.max_seq_length: float | None = MAX_TOKENS
        self.tokenizer: Any = SimpleNamespace(backend_tokenizer=fast_tokenizer())
        self.failure: Exception | None = None
        self.change: Change = lambda matrix: matrix
        self.busy = 0
        library = self

        class SentenceTransformer:
            def __init__(
                self,
                model_name_or_path: str | None = None,
                *,
                device: str | None = None,
                prompts: dict[str, str] | None = None,
                default_prompt_name: str | None = None,
                truncate_dim: int | None = None,
                token: bool | str | None = None,
            ) -> None:
                if model_name_or_path == "nobody/nothing":
                    raise OSError("We couldn't connect to the hub")
                given = {"device": device, "prompts": prompts, "truncate_dim": truncate_dim, "token": token}
                library.made.append((model_name_or_path, given))
                self.prompts = {"query": "", "document": ""} | library.saved_prompts | (prompts or {})
                self.default_prompt_name = default_prompt_name or library.saved_default
                self.max_seq_length = library.max_seq_length
                self.tokenizer = library.tokenizer
                self.truncate_dim = truncate_dim

            def get_embedding_dimension(self) -> int | None:
                return self.truncate_dim or library.dimensions

            def encode_document(
                self,
                inputs: list[str] | str,
                prompt_name: str | None = None,
                prompt: str | None = None,
                batch_size: int = 32,
                show_progress_bar: bool | None = None,
                convert_to_numpy: bool = True,
                normalize_embeddings: bool = False,
            ) -> Any:
                library.busy += 1
                assert library.busy == 1, "two threads at once"
                assert isinstance(inputs, list)
                assert prompt_name is None
                assert convert_to_numpy
                assert not normalize_embeddings
                library.calls.append({"batch_size": batch_size, "show_progress_bar": show_progress_bar})
                library.read += [(prompt or "") + text for text in inputs]
                time.sleep(0.001)
                library.busy -= 1
                if library.failure is not None:
                    raise library.failure
                if not inputs:
                    return np.array([])
                rows = [TOKENS[fast_tokenizer().encode((prompt or "") + text).ids].sum(axis=0) for text in inputs]
                return library.change(np.asarray(rows, np.float32)[:, : self.truncate_dim])

            def encode_query(self, inputs: list[str], prompt: str, **options: Any) -> Any:
                library.asked += inputs
                return self.encode_document(inputs, prompt=prompt, **options)

        self.SentenceTransformer = SentenceTransformer


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    module = Library()
    monkeypatch.setitem(sys.modules, PACKAGE, module)
    return module


def test_rows_are_normalised_and_in_the_order_of_the_texts(library: Library) -> None:
    embedder = SentenceTransformersEmbedder("BAAI/bge-small", kwargs={"device": "cpu"})
    texts = ["bread", "a longer sentence about bread and rye " * 3, "你好", "bread"]
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, embedder.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.array_equal(vectors, np.concatenate([embedder.embed([text]) for text in texts]))
    assert library.made == [("BAAI/bge-small", {"device": "cpu", "prompts": None, "truncate_dim": None, "token": None})]
    assert library.calls[0] == {"batch_size": 32, "show_progress_bar": False}


def test_model_is_loaded_at_first_use(library: Library) -> None:
    embedder = SentenceTransformersEmbedder("model", dimensions=DIMENSIONS)
    assert (embedder.name, embedder.dimensions) == ("sentence-transformers/model", DIMENSIONS)
    assert embedder.embed([]).shape == (0, DIMENSIONS)
    assert library.made == []
    embedder.embed(["rye"])
    assert len(library.made) == 1


def test_length_is_read_from_the_model_once(library: Library) -> None:
    embedder = SentenceTransformersEmbedder("model")
    assert [embedder.dimensions, embedder.dimensions] == [DIMENSIONS, DIMENSIONS]
    assert len(library.made) == 1
    assert SentenceTransformersEmbedder("model", kwargs={"truncate_dim": 4}).dimensions == 4
    library.dimensions = None
    with pytest.raises(EmbeddingError, match="embedding_dimensions"):
        _ = SentenceTransformersEmbedder("model").dimensions


def test_blank_text_is_embedded_as_a_full_stop(library: Library) -> None:
    SentenceTransformersEmbedder("model").embed(["", " \n", "rye"])
    assert library.read == [".", ".", "rye"]


@pytest.mark.parametrize(
    ("saved", "default", "given", "read"),
    [
        ({}, None, {}, "rye"),
        ({"query": "q: ", "document": "d: "}, None, {}, "d: rye"),
        ({"query": "q: ", "passage": "p: "}, None, {}, "p: rye"),
        ({"query": "q: "}, None, {}, "rye"),
        ({"query": "q: ", "document": "d: "}, "query", {}, "q: rye"),
        ({"document": "d: "}, None, {"prompts": {"document": "query: "}}, "query: rye"),
        ({}, None, {"prompts": {"mine": "m: "}, "default_prompt_name": "mine"}, "m: rye"),
    ],
)
def test_stored_texts_get_the_document_prompt(
    library: Library, saved: dict[str, str], default: str | None, given: dict[str, Any], read: str
) -> None:
    library.saved_prompts, library.saved_default = saved, default
    SentenceTransformersEmbedder("model", kwargs=given).embed(["rye"])
    assert library.read == [read]


@pytest.mark.parametrize(
    ("saved", "read", "asked"),
    [
        ({"query": "q: ", "document": "d: "}, ["d: rye", "q: rye"], ["rye"]),
        ({"document": "d: "}, ["d: rye", "d: rye"], []),
    ],
)
def test_questions_get_the_query_prompt_if_the_model_has_one(
    library: Library, saved: dict[str, str], read: list[str], asked: list[str]
) -> None:
    library.saved_prompts = saved
    embedder = SentenceTransformersEmbedder("model")
    embedder.embed(["rye"])
    assert np.allclose(np.linalg.norm(embedder.embed_queries(["rye"]), axis=1), 1)
    assert (library.read, library.asked) == (read, asked)


def test_embed_reads_the_first_4000_characters_of_a_long_text(library: Library) -> None:
    SentenceTransformersEmbedder("model").embed(["x" * 1_000_000])
    assert [len(each) for each in library.read] == [4_000]


def test_lone_surrogates_raise_an_embedding_error(library: Library) -> None:
    embedder = SentenceTransformersEmbedder("model")
    with pytest.raises(EmbeddingError, match="lone surrogates"):
        embedder.embed(["rye", "lone \ud800"])
    assert library.made == []


@pytest.mark.parametrize(
    "change",
    [lambda matrix: matrix * 0, lambda matrix: matrix * np.nan, lambda matrix: matrix * [1, 1, 1, 1, 1, np.inf]],
)
def test_zero_and_non_finite_vectors_are_rejected(library: Library, change: Change) -> None:
    library.change = change
    with pytest.raises(EmbeddingError, match="zeros, NaN or infinity"):
        SentenceTransformersEmbedder("model").embed(["rye"])


@pytest.mark.parametrize("change", [lambda matrix: matrix[:-1], lambda matrix: matrix[0], lambda _: np.array([])])
def test_wrong_number_of_vectors_is_rejected(library: Library, change: Change) -> None:
    library.change = change
    with pytest.raises(EmbeddingError, match="for 2 texts"):
        SentenceTransformersEmbedder("model").embed(["bread", "rye"])


def test_vectors_of_a_wrong_length_are_rejected(library: Library) -> None:
    assert library.dimensions == DIMENSIONS
    with pytest.raises(DimensionMismatchError) as caught:
        SentenceTransformersEmbedder("model", dimensions=8).embed(["rye"])
    assert (caught.value.expected, caught.value.actual) == (8, DIMENSIONS)


@pytest.mark.parametrize("failure", [RuntimeError("secret"), IndexError("secret"), ValueError("secret")])
def test_error_of_the_model_contains_no_text(library: Library, failure: Exception) -> None:
    library.failure = failure
    with pytest.raises(EmbeddingError, match=f"failed on the texts: {type(failure).__name__}$"):
        SentenceTransformersEmbedder("model").embed(["secret"])


def test_load_failure_names_its_cause_and_is_retried(library: Library) -> None:
    embedder = SentenceTransformersEmbedder("nobody/nothing")
    for _ in range(2):
        with pytest.raises(EmbeddingError, match="'nobody/nothing' can't be loaded: OSError: We couldn't connect"):
            embedder.embed(["rye"])
    with pytest.raises(EmbeddingError, match=r"can't be loaded: TypeError.*nonsense"):
        SentenceTransformersEmbedder("model", kwargs={"nonsense": 1}).embed(["rye"])
    assert library.made == []


def test_missing_package_raises_an_error_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(EmbeddingError, match=r'pip install "memoryos-engine\[sentence-transformers\]"'):
        SentenceTransformersEmbedder("model", dimensions=3).embed(["rye"])


def test_is_installed_does_not_import_the_package(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed()
    assert library.made == []
    monkeypatch.delitem(sys.modules, PACKAGE)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not is_installed()


def test_name_depends_on_options_that_change_vectors() -> None:
    def name(model: str = "BAAI/bge-m3", **kwargs: Any) -> str:
        return SentenceTransformersEmbedder(model, kwargs=kwargs).name

    assert name() == "sentence-transformers/BAAI/bge-m3"
    assert name("sentence-transformers/all-mpnet-base-v2") == name("all-mpnet-base-v2")
    assert name(device="cuda", token="secret", cache_folder="models") == name()
    others = [name(truncate_dim=64), name(prompts={"document": "d: "}), name(revision="1a2b"), name(truncate_dim=32)]
    assert len({name(), *others}) == 5
    assert name(revision="1", truncate_dim=2) == name(truncate_dim=2, revision="1")


def test_threads_share_one_loaded_model(library: Library) -> None:
    embedder, found = SentenceTransformersEmbedder("model"), []

    def work() -> None:
        for _ in range(5):
            found.append(embedder.embed(["the same text"])[0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 30
    assert all(np.array_equal(found[0], each) for each in found)
    assert len(library.made) == 1
