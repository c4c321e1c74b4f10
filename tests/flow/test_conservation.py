"""Conservation of pages: every added page is in the log, and due or in exactly one segment."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import AnalystUnavailableError, InvalidReplyError
from memoryos.memory import Memory
from memoryos.seams import Profiling, Reading, Topic
from memoryos.testing import FixedClock, HashEmbedder, ScriptedAnalyst
from tests.conftest import EngineMaker


def check(memory: Memory, said: list[tuple[str, str]], *, flushed: bool) -> None:
    pages = list(memory.pages())
    assert [(page.user_text, page.assistant_text) for page in pages] == said
    assert [page.seq for page in pages] == list(range(1, len(said) + 1))
    capacity = memory.config.short_term_capacity
    window = pages[max(0, len(pages) - capacity) :]
    held = Counter(page.segment_id for page in pages if page.segment_id is not None)
    counts = {each.segment_id: each.page_count for each in [*memory.segments(), *memory.segments(archived=True)]}
    assert held == counts
    due = [page for page in pages if page.segment_id is None]
    stats = memory.get_memory_stats()
    assert stats["pages_due"] == len(due)
    assert stats["short_term_pages"] == len(window)
    if flushed:
        assert due == []
        assert stats["pages_without_vector"] == 0
        assert all((page.chain_id is None) == (page.segment_id is None) for page in pages)


topics = [
    "I bake bread with rye and sourdough",
    "My dog Rex swims in the lake",
    "The opera in Rome was loud",
    "Taxes are due",
]
actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(topics), st.sampled_from(["", "Nice, tell me more about it."])),
        st.tuples(st.just("flush"), st.just(""), st.just("")),
        st.tuples(st.just("reopen"), st.just(""), st.just("")),
        st.tuples(st.just("recall"), st.sampled_from(["bread", "Where does Rex swim?"]), st.just("")),
    ),
    max_size=30,
)


@settings(max_examples=25)
@given(actions, st.integers(0, 4), st.integers(1, 5), st.integers(1, 3), st.booleans())
def test_every_page_is_in_exactly_one_segment(
    script: list[tuple[str, str, str]], window: int, batch: int, segments: int, is_local: bool
) -> None:
    clock = FixedClock()
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            data_storage_path=Path(folder), short_term_capacity=window, consolidation_batch=batch,
            mid_term_capacity=segments, background=False,
        )  # fmt: skip

        def open_engine() -> MemoryEngine:
            return MemoryEngine(
                config, embedder=HashEmbedder(), analyst=None if is_local else ScriptedAnalyst(), clock=clock
            )

        engine = open_engine()
        said: list[tuple[str, str]] = []
        for action, text, reply in script:
            clock.advance(minutes=7)
            memory = engine.memory("u")
            if action == "add":
                memory.add_memory(text, reply)
                said.append((text, reply))
            elif action == "flush":
                memory.flush()
            elif action == "reopen":
                engine.close()
                engine = open_engine()
                memory = engine.memory("u")
            else:
                found = memory.recall(text)
                stored = {page.page_id for page in memory.pages()}
                shown = [each.page.page_id for each in found.pages] + [page.page_id for page in found.short_term]
                assert set(shown) <= stored
                assert len(shown) == len(set(shown))
            check(memory, said, flushed=action == "flush")
        engine.memory("u").flush()
        check(engine.memory("u"), said, flushed=True)
        engine.close()


def test_drain_without_due_work_changes_nothing(memory: Memory) -> None:
    for number in range(30):
        memory.add_memory(f"I bake bread number {number}", "Good.")
    memory.flush()
    before = (memory.get_memory_stats(), list(memory.pages()), memory.segments(), memory.knowledge(None))
    memory.flush()
    assert (memory.get_memory_stats(), list(memory.pages()), memory.segments(), memory.knowledge(None)) == before


def test_two_topics_of_a_batch_contain_disjoint_pages(make_engine: EngineMaker) -> None:
    class Splitting(ScriptedAnalyst):
        def read(self, batch, meter):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG002
            ids = [page.page_id for page in batch.pages]
            topics = (Topic("a", frozenset({"a"}), tuple(ids[::2])), Topic("b", frozenset({"b"}), tuple(ids[1::2])))
            return Reading((False, *(True for _ in ids[1:])), ("chain",), topics)

    memory = make_engine(analyst=Splitting(), short_term_capacity=0, mid_term_similarity_threshold=2).memory("u")
    for number in range(10):
        memory.add_memory(f"page {number}", "")
    memory.flush()
    held = Counter(page.segment_id for page in memory.pages())
    assert sorted(held.values()) == [5, 5]


@pytest.mark.parametrize("error", [AnalystUnavailableError("down"), InvalidReplyError("nonsense")])
def test_failed_reading_leaves_pages_due_and_searchable(
    make_engine: EngineMaker, clock: FixedClock, error: Exception
) -> None:
    analyst = ScriptedAnalyst(readings=[error, error])
    memory = make_engine(analyst=analyst, short_term_capacity=0).memory("u")
    for number in range(12):
        memory.add_memory(f"I bake bread number {number}", "Good.")
    for attempt in (1, 2):
        with pytest.raises(type(error)):
            memory.flush()
        stats = memory.get_memory_stats()
        assert (stats["pages_due"], stats["analyst_failures"]) == (12, attempt)
        assert type(error).__name__ in stats["last_error"]
        assert len(memory.recall("bread number 7").pages) == 7
    clock.advance(hours=2)
    memory.flush()
    stats = memory.get_memory_stats()
    assert (stats["pages_due"], stats["analyst_failures"], stats["last_error"]) == (0, 0, None)
    assert memory.knowledge(None, history=True) == []


def test_invalid_profiling_changes_nothing(make_engine: EngineMaker) -> None:
    analyst = ScriptedAnalyst(profilings=[InvalidReplyError("nonsense")])
    memory = make_engine(analyst=analyst, short_term_capacity=0).memory("u")
    for number in range(10):
        memory.add_memory(f"I bake bread number {number}", "Good.")
    with pytest.raises(InvalidReplyError):
        memory.flush()
    assert memory.profile.version == 0
    assert not any(page.profiled for page in memory.pages())
    memory.flush()
    assert all(page.profiled for page in memory.pages())


def test_every_hot_segment_is_profiled_and_loses_heat(make_engine: EngineMaker) -> None:
    class TwoTopics(ScriptedAnalyst):
        def read(self, batch, meter):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG002
            ids = tuple(page.page_id for page in batch.pages)
            half = len(ids) // 2
            topics = (Topic("a", frozenset({"a"}), ids[:half]), Topic("b", frozenset({"b"}), ids[half:]))
            return Reading((False, *(True for _ in ids[1:])), ("chain",), topics)

    analyst = TwoTopics(profilings=[Profiling()])
    memory = make_engine(
        analyst=analyst, short_term_capacity=0, consolidation_batch=12, mid_term_similarity_threshold=2
    ).memory("u")
    for number in range(12):
        memory.add_memory(f"page {number}", "")
    memory.flush()
    assert [kind for kind, _ in analyst.calls] == ["profile", "profile"]
    assert [each.length for each in memory.segments()] == [0, 0]
    assert memory.get_memory_stats()["pages_learned"] == 12


def test_a_visited_segment_gains_heat_and_the_coldest_is_archived(make_engine: EngineMaker, clock: FixedClock) -> None:
    class OneEach(ScriptedAnalyst):
        def read(self, batch, meter):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG002
            word = batch.pages[0].user_text.split()[0]
            topic = Topic(word, frozenset({word}), tuple(page.page_id for page in batch.pages))
            return Reading((False,), (word,), (topic,))

    memory = make_engine(
        analyst=OneEach(), short_term_capacity=0, consolidation_batch=1, mid_term_capacity=2,
        mid_term_similarity_threshold=2, mid_term_heat_threshold=100,
    ).memory("u")  # fmt: skip
    for text in ("apples are red", "boats are fast"):
        memory.add_memory(text, "")
        clock.advance(days=20)
    memory.flush()
    memory.recall("apples", max_pages=1)
    memory.flush()
    assert {each.summary: each.visits for each in memory.segments()} == {"apples": 1, "boats": 0}
    memory.add_memory("clouds are white", "")
    memory.flush()
    assert {each.summary for each in memory.segments()} == {"apples", "clouds"}
    assert [each.summary for each in memory.segments(archived=True)] == ["boats"]
    assert "boats are fast" not in memory.recall("boats", max_pages=5).to_prompt()
    assert any(page.user_text == "boats are fast" for page in memory.pages())
