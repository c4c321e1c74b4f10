"""Change of the embedder on existing data: word search during the change, both sets of vectors, atomic switch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from memoryos.errors import DimensionMismatchError, EmbeddingError
from memoryos.language.passages import CUTTER, cut_passages, vector_model
from memoryos.memory import Memory
from memoryos.models.query_cache import QueryCache
from memoryos.seams import Embedder
from memoryos.storage.schema import pages, vectors
from memoryos.testing import FixedClock, HashEmbedder
from tests.conftest import EngineMaker


class Named(HashEmbedder):
    """An embedder with another name and other vectors."""

    def __init__(self, name: str, dimensions: int = 32) -> None:
        super().__init__(dimensions)
        self._given_name = name
        self.fails_after: int | None = None

    @property
    def name(self) -> str:
        return self._given_name

    def embed(self, texts: list[str]) -> NDArray[np.float32]:  # type: ignore[override]
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                raise EmbeddingError("the power is off")
        return super().embed(texts)


def fill(memory: Memory, clock: FixedClock, count: int = 40) -> None:
    for number in range(count):
        memory.add_memory(f"I baked loaf {number} of rye bread with my sister Nora.", "Lovely.", clock())
        clock.advance(minutes=1)
    memory.flush()


def models(memory: Memory) -> dict[str, int]:
    database = memory.engine.store._database
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT model, COUNT(DISTINCT owner_id) FROM vectors GROUP BY model")
        return {row[0].removesuffix(f"/{CUTTER}"): row[1] for row in rows}


def test_word_search_works_during_an_embedder_change_and_the_change_is_atomic(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    given = {"short_term_capacity": 0, "consolidation_batch": 5}
    memory = make_engine(embedder=Named("old"), **given).memory("tom")
    fill(memory, clock)
    assert "new" not in models(memory)
    later = Named("new", 48)
    again = make_engine(embedder=later, **given).memory("tom")
    assert again.get_memory_stats()["pages_without_vector"] == 40
    found = again.recall("loaf 7")
    assert found.pages[0].page.user_text.startswith("I baked loaf 7 ")
    assert {each.signals.meaning for each in found.pages} == {0.0}
    later.fails_after = 1
    with pytest.raises(EmbeddingError):
        again.flush()
    assert 0 < again.get_memory_stats()["pages_without_vector"] < 40
    assert set(models(again)) == {"old", "new"}, "both sets of vectors are stored"
    later.fails_after = None
    assert {each.signals.meaning for each in again.recall("loaf 7").pages} == {0.0}, "incomplete vectors are not used"
    again.flush()
    assert again.get_memory_stats()["pages_without_vector"] == 0
    assert set(models(again)) == {"new"}, "old vectors are deleted when the new ones are complete"
    assert any(each.signals.meaning for each in again.recall("loaf 7").pages)
    assert sum(each.page_count for each in again.segments()) == 40


def test_embedder_change_can_be_reverted_before_it_completes(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(embedder=Named("old"), short_term_capacity=0).memory("tom")
    fill(memory, clock)
    failing = Named("new")
    failing.fails_after = 1
    with pytest.raises(EmbeddingError):
        make_engine(embedder=failing, short_term_capacity=0).memory("tom").flush()
    back = make_engine(embedder=Named("old"), short_term_capacity=0).memory("tom")
    back.flush()
    assert set(models(back)) == {"old"}
    assert back.recall("loaf 7").pages


def test_vectors_of_wrong_length_raise_at_the_first_call(make_engine: EngineMaker, clock: FixedClock) -> None:
    class Lying(HashEmbedder):
        @property
        def dimensions(self) -> int:
            return 65

    memory = make_engine(embedder=Lying(64)).memory("tom")
    memory.add_memory("one", "", clock())
    with pytest.raises(DimensionMismatchError) as caught:
        memory.recall("one")
    assert (caught.value.expected, caught.value.actual) == (65, 64)
    with pytest.raises(DimensionMismatchError):
        memory.flush()
    assert len(list(memory.pages())) == 1


def test_same_model_name_with_another_dimension_raises(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(embedder=Named("model", 32), short_term_capacity=0).memory("tom")
    fill(memory, clock, 3)
    other = make_engine(embedder=Named("model", 48), short_term_capacity=0).memory("tom")
    with pytest.raises(DimensionMismatchError):
        other.recall("loaf")
    assert memory.recall("loaf").pages


def test_archived_segments_expire_with_their_pages(make_engine: EngineMaker, clock: FixedClock) -> None:
    given = {
        "short_term_capacity": 0, "consolidation_batch": 1, "mid_term_capacity": 1, "mid_term_similarity_threshold": 2,
        "keep_archived_days": 30,
    }  # fmt: skip
    memory = make_engine(**given).memory("tom")
    for text in ("I sailed to Porto.", "My oven broke down.", "A violin was stolen."):
        memory.add_memory(text, "", clock())
        memory.flush()
        clock.advance(days=1)
    assert len(memory.segments(archived=True)) == 2
    assert memory.get_memory_stats()["pages"] == 3
    clock.advance(days=29)
    memory.flush()
    assert memory.get_memory_stats()["pages"] == 2
    clock.advance(days=5)
    memory.flush()
    assert [page.user_text for page in memory.pages()] == ["A violin was stolen."]
    assert memory.segments(archived=True) == []


class Asymmetric(HashEmbedder):
    """An embedder that embeds queries differently: reversed."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.embed([text[::-1] for text in texts])


@pytest.mark.parametrize("wrap", [lambda embedder: embedder, QueryCache])
def test_embedder_may_embed_queries_differently(make_engine: EngineMaker, wrap: Callable[[Embedder], Embedder]) -> None:
    memory = make_engine(embedder=wrap(Asymmetric())).memory("ann")
    memory.add_memory("the bread is ready", "")
    memory.embed()
    assert memory.recall("ydaer si daerb eht").quotes[0].cosine == pytest.approx(1, abs=1e-5)
    assert memory.recall("the bread is ready").quotes[0].cosine < 0.9


PLAN = "\n\n".join(
    f"## Day {day}\n\n- Visit the museum number {day}. {'It is open late. ' * 30}" for day in range(1, 9)
)


def rename_vectors(memory: Memory, old: str, new: str) -> None:
    """Gives all vectors and pages the vector model name of another release."""
    with memory.engine.store._database.write(memory._handle.find()) as connection:
        connection.execute(sa.update(vectors).where(vectors.c.model == old).values(model=new))
        connection.execute(sa.update(pages).where(pages.c.embedded_with == old).values(embedded_with=new))


def test_store_without_passages_is_searched_by_words_and_embedded_again(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    """Earlier releases stored vectors under the name of the embedder alone, without the version of the cutter."""
    given = {"short_term_capacity": 0, "consolidation_batch": 5}
    memory = make_engine(embedder=Named("model"), **given).memory("tom")
    memory.add_memory("Plan my trip.", PLAN, clock())
    fill(memory, clock, 30)
    rename_vectors(memory, vector_model("model"), "model")
    again = make_engine(embedder=Named("model"), **given).memory("tom")
    assert again.get_memory_stats()["pages_without_vector"] == 31
    found = again.recall("loaf 7")
    assert found.pages[0].page.user_text.startswith("I baked loaf 7 ")
    assert {each.signals.meaning for each in found.pages} == {0.0}
    again.flush()
    assert again.get_memory_stats()["pages_without_vector"] == 0
    assert again.recall("museum number 5", max_tokens=300).pages[0].signals.meaning != 0


def test_interrupted_embedding_continues_where_it_stopped(make_engine: EngineMaker, clock: FixedClock) -> None:
    given = {"short_term_capacity": 0, "consolidation_batch": 5}
    memory = make_engine(embedder=Named("model"), **given).memory("tom")
    fill(memory, clock, 40)
    rename_vectors(memory, vector_model("model"), "model")
    failing = Named("model")
    failing.fails_after = 1
    with pytest.raises(EmbeddingError):
        make_engine(embedder=failing, **given).memory("tom").flush()
    again = make_engine(embedder=Named("model"), **given).memory("tom")
    left = again.get_memory_stats()["pages_without_vector"]
    assert 0 < left < 40
    again.flush()
    assert again.get_memory_stats()["pages_without_vector"] == 0


def test_long_answer_has_one_vector_per_passage_and_is_shown_in_part(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0).memory("tom")
    memory.add_memory("Plan my trip.", PLAN)
    memory.flush()
    scope_id = memory._handle.find()
    (rows,) = memory.engine.store.vectors.of_pages(scope_id, vector_model(memory.engine.embedder.name))
    assert rows.counts.tolist() == [1, len(cut_passages(PLAN))]
    found = memory.recall("Which is the museum number 5 on day 5?", max_tokens=300)
    text = found.pages[0].text("assistant")
    assert "## Day 5" in text
    assert " […]" in text
    assert found.quotes[0].span is not None
    assert len(found.to_prompt()) / 4 <= 300


def test_no_old_vector_is_left_when_the_process_ends_after_any_step(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    given = {"short_term_capacity": 0, "consolidation_batch": 5}
    memory = make_engine(embedder=Named("old"), **given).memory("tom")
    fill(memory, clock, 40)
    engine = make_engine(embedder=Named("new"), **given)
    scope_id = engine.memory("tom")._handle.find()
    while engine.store.log.count_unembedded(scope_id, vector_model("new")):
        engine.updater.embed(scope_id, lease_timeout_seconds=1)
    assert set(models(engine.memory("tom"))) == {"new"}


def test_step_with_long_texts_has_few_pages(make_engine: EngineMaker) -> None:
    class Counting(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            characters.append(sum(map(len, texts)))
            return super().embed(texts)

    characters: list[int] = []
    memory = make_engine(embedder=Counting(), short_term_capacity=0).memory("tom")
    for number in range(8):
        memory.add_memory(f"Sentence number {number} of a long text. " * 500, "Noted. " * 1_000)
    memory.embed()
    assert len(characters) >= 4
    assert max(characters) < 64_000
