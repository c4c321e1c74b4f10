"""Optional protocol methods: embedders, analysts and chat models work with and without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from memoryos.analysts.llm import LLMAnalyst
from memoryos.engine import MemoryEngine
from memoryos.models.query_cache import QueryCache
from memoryos.optional_methods import CompleteEmbedder, close_method
from memoryos.seams import Embedder
from memoryos.testing import HashEmbedder, ScriptedAnalyst, ScriptedChatModel
from tests.conftest import EngineMaker


class RequiredOnly:
    """An embedder with the four required methods; does not inherit from any class of the project."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self._hash = HashEmbedder()

    @property
    def name(self) -> str:
        return "required-only"

    @property
    def dimensions(self) -> int:
        return self._hash.dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(list(texts))
        return self._hash.embed(texts)


class WithQueries(RequiredOnly):
    """Embeds questions backwards."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.embed([text[::-1] for text in texts])


class WithLanguages(RequiredOnly):
    languages = frozenset({"en"})


class WithUnlimitedLanguages(RequiredOnly):
    languages = None


class Forwarding:
    """A wrapper that forwards every attribute, as a logging or counting embedder of a user does."""

    def __init__(self, wrapped: Embedder) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> object:
        return getattr(self._wrapped, name)


class WithClose:
    def __init__(self) -> None:
        self.close_count = 0

    def close(self) -> None:
        self.close_count += 1


def forwarding(embedder: Embedder) -> Embedder:
    return Forwarding(embedder)  # type: ignore[return-value]  # forwards all methods at run time


@pytest.mark.parametrize("wrap", [CompleteEmbedder, QueryCache, lambda each: CompleteEmbedder(QueryCache(each))])
@pytest.mark.parametrize("forward", [lambda each: each, forwarding])
@pytest.mark.parametrize(
    ("embedder", "question", "languages"),
    [
        (RequiredOnly(), "rye bread", None),
        (WithQueries(), "daerb eyr", None),
        (WithLanguages(), "rye bread", frozenset({"en"})),
        (WithUnlimitedLanguages(), "rye bread", None),
    ],
)
def test_adapter_uses_the_methods_of_the_embedder_or_the_defaults(
    wrap: type[CompleteEmbedder],
    forward: type[Embedder],
    embedder: Embedder,
    question: str,
    languages: frozenset[str] | None,
) -> None:
    adapter = wrap(forward(embedder))  # type: ignore[call-arg]
    expected = HashEmbedder().embed(["rye bread"])
    assert np.array_equal(adapter.embed_queries([question]), expected)
    assert np.array_equal(adapter.embed(["rye bread"]), expected)
    assert adapter.languages == languages
    assert (adapter.name, adapter.dimensions) == ("required-only", 64)


@pytest.mark.parametrize("forward", [lambda each: each, forwarding])
def test_recall_works_with_the_required_methods_only(make_engine: EngineMaker, forward: type[Embedder]) -> None:
    memory = make_engine(embedder=forward(RequiredOnly())).memory("ann")  # type: ignore[call-arg]
    memory.add_memory("the bread is ready", "")
    memory.embed()
    assert memory.recall("the bread is ready").quotes[0].cosine == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("forward", [lambda each: each, forwarding])
def test_recall_embeds_questions_with_embed_queries(make_engine: EngineMaker, forward: type[Embedder]) -> None:
    memory = make_engine(embedder=forward(WithQueries())).memory("ann")  # type: ignore[call-arg]
    memory.add_memory("the bread is ready", "")
    memory.embed()
    assert memory.recall("ydaer si daerb eht").quotes[0].cosine == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("forward", [lambda each: each, forwarding])
def test_recall_lowers_the_weight_of_meaning_for_unsupported_languages(
    make_engine: EngineMaker, forward: type[Embedder]
) -> None:
    shares: list[float] = []
    for embedder in (RequiredOnly(), WithLanguages()):
        memory = make_engine(embedder=forward(embedder), short_term_capacity=0).memory("ann")  # type: ignore[call-arg]
        if not shares:
            memory.add_memory("Mijn zus woont in Porto.", "Wat leuk, where does she live there?")
            memory.add_memory("The bread is ready.", "Het brood is klaar.")
        memory.flush()
        shares.append(memory.recall("Waar woont mijn zus?", max_pages=1).pages[0].signals.meaning)
    assert 0 < shares[1] < shares[0]


def test_close_method_is_the_method_of_the_resource_or_does_nothing() -> None:
    resource = WithClose()
    close_method(resource)()
    close_method(Forwarding(resource))()  # type: ignore[arg-type]
    assert resource.close_count == 2
    close_method(object())()


@pytest.mark.parametrize("model", [ScriptedChatModel(), WithClose()])
def test_llm_analyst_closes_its_model(model: ScriptedChatModel | WithClose) -> None:
    LLMAnalyst(model).close()  # type: ignore[arg-type]
    assert getattr(model, "close_count", 1) == 1


def test_engine_does_not_close_an_embedder_that_it_did_not_build(make_engine: EngineMaker) -> None:
    class Closing(HashEmbedder, WithClose):
        def __init__(self) -> None:
            HashEmbedder.__init__(self)
            WithClose.__init__(self)

    embedder = Closing()
    make_engine(embedder=embedder).close()
    assert embedder.close_count == 0


def test_engine_closes_an_analyst_that_it_built(make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[LLMAnalyst] = []
    monkeypatch.setattr(LLMAnalyst, "close", lambda analyst: closed.append(analyst))  # noqa: PLW0108  (a method binds)
    engine = make_engine(openai_api_key="key", openai_base_url="http://127.0.0.1:9/v1", on_llm_failure="local")
    primary = engine.modules.analyst_of(None)
    engine.close()
    assert closed == [primary]


def test_engine_keeps_primary_and_fallback_analyst_apart(make_engine: EngineMaker) -> None:
    primary, fallback = ScriptedAnalyst(), ScriptedAnalyst()
    engine: MemoryEngine = make_engine(analyst=primary, fallback_analyst=fallback)
    assert engine.modules.analyst_of(None) is primary
    assert engine.analyst is not primary
    assert engine.updater.has_fallback
    alone: MemoryEngine = make_engine(analyst=primary)
    assert alone.analyst is primary
    assert not alone.updater.has_fallback
