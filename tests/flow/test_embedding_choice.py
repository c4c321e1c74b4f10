"""The setting ``embedding_model_name="auto"``: chosen once per store, kept, and changed only by an explicit name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner, Result

from memoryos.assembly import build_embedder
from memoryos.config import Config
from memoryos.doors.cli import cli
from memoryos.engine import MemoryEngine
from memoryos.errors import ConfigError
from memoryos.models import multilingual_e5, sentence_transformers
from memoryos.testing import HashEmbedder
from tests.conftest import EngineMaker

BUILT_IN, MULTILINGUAL = "all-MiniLM-L6-v2", "multilingual-e5-small"
DUTCH = ("Ik woon al jaren in Gent en ik werk bij de bakker.", "Wat leuk dat je bij de bakker werkt!")
ENGLISH = ("I live in Ghent and I work for the baker.", "How nice that you work there!")


class NamedEmbedder(HashEmbedder):
    """A hash embedder with the name and the languages of another model."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    @property
    def name(self) -> str:
        return f"{self._model}/fake"

    @property
    def languages(self) -> frozenset[str] | None:
        return frozenset({"en"}) if self._model == BUILT_IN else None


class Install(Protocol):
    """Simulates whether the multilingual extra is installed."""

    def __call__(self, *, is_installed: bool) -> None: ...


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Returns a function that simulates whether the multilingual extra is installed; embedders are replaced by fakes."""
    monkeypatch.setattr(
        "memoryos.engine.build_embedder", lambda config: NamedEmbedder(build_embedder(config).name.partition("/")[0])
    )
    monkeypatch.setattr(sentence_transformers, "is_installed", lambda: False)

    def set_installed(is_installed: bool) -> None:
        monkeypatch.setattr(multilingual_e5, "is_installed", lambda: is_installed)

    return set_installed


def model_of(engine: MemoryEngine) -> str:
    return engine.embedder.name.partition("/")[0]


def reopened(make_engine: EngineMaker, **settings: Any) -> MemoryEngine:
    return make_engine(embedder=None, **settings)


@pytest.mark.parametrize(("installed_first", "expected"), [(False, BUILT_IN), (True, MULTILINGUAL)])
def test_the_choice_is_made_when_the_store_is_created_and_kept(
    make_engine: EngineMaker, install: Install, *, installed_first: bool, expected: str
) -> None:
    install(is_installed=installed_first)
    with reopened(make_engine) as engine:
        assert model_of(engine) == expected
        assert engine.config.embedding_model_name == "auto"
    install(is_installed=True)
    with reopened(make_engine) as engine:
        assert model_of(engine) == expected


@pytest.mark.parametrize("model", [BUILT_IN, MULTILINGUAL])
def test_a_store_without_a_recorded_choice_keeps_the_model_of_its_vectors(
    make_engine: EngineMaker, install: Install, model: str
) -> None:
    with make_engine(embedder=NamedEmbedder(model)) as engine:
        engine.memory("tom").add_memory(*ENGLISH)
        engine.memory("tom").flush()
        assert engine.store.settings.embedding_model() is None
    install(is_installed=True)
    with reopened(make_engine) as engine:
        assert model_of(engine) == model
        assert engine.memory("tom").get_memory_stats()["pages_without_vector"] == 0
        assert engine.store.settings.embedding_model() == model


def test_a_store_with_vectors_of_another_model_gets_the_choice_of_a_new_store(
    make_engine: EngineMaker, install: Install
) -> None:
    with make_engine(embedder=HashEmbedder()) as engine:
        engine.memory("tom").add_memory(*ENGLISH)
        engine.memory("tom").flush()
    install(is_installed=False)
    with reopened(make_engine) as engine:
        assert model_of(engine) == BUILT_IN


def test_an_explicit_name_embeds_again_and_becomes_the_choice(make_engine: EngineMaker, install: Install) -> None:
    install(is_installed=True)
    with reopened(make_engine, embedding_model_name=BUILT_IN) as engine:
        engine.memory("tom").add_memory(*ENGLISH)
        engine.memory("tom").flush()
    with reopened(make_engine, embedding_model_name=MULTILINGUAL) as engine:
        memory = engine.memory("tom")
        assert memory.get_memory_stats()["pages_without_vector"] == 1
        assert memory.recall("Where do I work?").pages or memory.recall("Where do I work?").short_term
        memory.flush()
        assert memory.get_memory_stats()["pages_without_vector"] == 0
    with reopened(make_engine) as engine:
        assert model_of(engine) == MULTILINGUAL
        assert engine.memory("tom").get_memory_stats()["pages_without_vector"] == 0


def test_an_embedder_object_leaves_the_choice_unchanged(make_engine: EngineMaker, install: Install) -> None:
    install(is_installed=False)
    with reopened(make_engine):
        pass
    with make_engine(embedder=NamedEmbedder(MULTILINGUAL)) as engine:
        assert engine.store.settings.embedding_model() == BUILT_IN


def test_a_missing_extra_of_the_recorded_choice_raises_an_error_that_names_it(
    make_engine: EngineMaker, install: Install
) -> None:
    install(is_installed=True)
    with reopened(make_engine) as engine:
        engine.memory("tom").add_memory(*ENGLISH)
    install(is_installed=False)
    with pytest.raises(ConfigError, match=r'"memoryos-engine\[multilingual\]".*memoryos reembed all-MiniLM-L6-v2'):
        reopened(make_engine)
    install(is_installed=True)
    with reopened(make_engine) as engine:
        assert [page.user_text for page in engine.memory("tom").pages()] == [ENGLISH[0]]


@pytest.mark.kinds("sqlite")
def test_a_wrong_explicit_name_creates_no_store(tmp_path: Path, install: Install) -> None:
    install(is_installed=False)
    for name in (MULTILINGUAL, "unknown model"):
        with pytest.raises(ConfigError, match="embedding_model_name"):
            MemoryEngine(Config(data_storage_path=tmp_path / "none", embedding_model_name=name))
    assert not (tmp_path / "none").exists()


def test_an_endpoint_takes_precedence_over_the_choice(make_engine: EngineMaker, install: Install) -> None:
    install(is_installed=True)
    endpoint = Config(embedding_base_url="http://127.0.0.1:9/v1", embedding_dimensions=8)
    with reopened(make_engine, embedding_base_url=endpoint.embedding_base_url, embedding_dimensions=8) as engine:
        assert model_of(engine) == "openai"
        assert engine.store.settings.embedding_model() is None
    assert build_embedder(endpoint).name == f"openai/{BUILT_IN}"


def test_unsupported_languages_are_reported_once_in_the_log_and_in_the_stats(
    make_engine: EngineMaker, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(is_installed=False)
    with reopened(make_engine) as engine, caplog.at_level(logging.WARNING):
        memory = engine.memory("tom")
        memory.add_memory(*ENGLISH)
        memory.flush()
        assert memory.get_memory_stats()["language_note"] is None
        for _ in range(3):
            memory.add_memory(*DUTCH)
            memory.flush()
        note = memory.get_memory_stats()["language_note"]
    assert "Dutch" in note
    assert 'pip install "memoryos-engine[multilingual]" && memoryos reembed multilingual-e5-small' in note
    logged = [each.getMessage() for each in caplog.records if "Dutch" in each.getMessage()]
    assert len(logged) == 1
    assert "memoryos reembed" in logged[0]
    install(is_installed=True)
    with reopened(make_engine, embedding_model_name=MULTILINGUAL) as engine:
        assert engine.memory("tom").get_memory_stats()["language_note"] is None


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(cli, ["--data", str(tmp_path / "store"), *arguments])


@pytest.mark.kinds("sqlite")
def test_the_command_reembed_switches_the_model_of_all_scopes(
    make_engine: EngineMaker, install: Install, run: Callable[..., Result]
) -> None:
    install(is_installed=False)
    with reopened(make_engine) as engine:
        for user in ("tom", "ann"):
            engine.memory(user).add_memory(*DUTCH)
            engine.memory(user).flush()
    missing = run("reembed", MULTILINGUAL)
    assert missing.exit_code == 1
    assert "memoryos-engine[multilingual]" in missing.output
    install(is_installed=True)
    done = run("reembed", MULTILINGUAL)
    assert done.exit_code == 0, done.output
    assert f"{MULTILINGUAL}/fake; 0 pages are still to be embedded" in done.output
    with reopened(make_engine) as engine:
        assert model_of(engine) == MULTILINGUAL
        for user in ("tom", "ann"):
            assert engine.memory(user).get_memory_stats()["pages_without_vector"] == 0


@pytest.mark.kinds("sqlite")
def test_the_command_reembed_refuses_a_model_that_the_settings_override(
    install: Install, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(is_installed=True)
    monkeypatch.setenv("MEMORYOS_EMBEDDING_MODEL_NAME", BUILT_IN)
    refused = run("reembed", MULTILINGUAL)
    assert refused.exit_code == 1
    assert "take precedence" in refused.output
    assert run("reembed", BUILT_IN).exit_code == 0
