"""The public Python interface."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import memoryos
from memoryos import AsyncMemoryos, Config, MemoryEngine, Memoryos
from memoryos.analysts.llm import LLMAnalyst
from memoryos.errors import (
    AnalystUnavailableError,
    ConfigError,
    EmbeddingError,
    InputError,
    MemoryOSError,
    StoreConflictError,
    StoreUnavailableError,
)
from memoryos.memory import Memory
from memoryos.testing import FixedClock, HashEmbedder, ScriptedAnalyst, ScriptedChatModel
from memoryos.updating.leases import LeaseHeldError
from tests.conftest import EngineMaker

SNIPPET = """
from memoryos import Memoryos
memo = Memoryos(user_id="demo_user", openai_api_key="YOUR_OPENAI_API_KEY", openai_base_url="", data_storage_path="./simple_demo_data",
                llm_model="gpt-4o-mini", assistant_id="demo_assistant", short_term_capacity=7, mid_term_heat_threshold=5,
                retrieval_queue_capacity=7, long_term_knowledge_capacity=100)
memo.add_memory(user_input="Hi! I'm Tom, I work as a data scientist in San Francisco.",
                agent_response="Hello Tom! Nice to meet you. Data science is such an exciting field. What kind of data do you work with?")
response = memo.get_response(query="What do you remember about my job?")
print(response)
"""


def test_documented_snippet_works(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SNIPPET], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    assert "data scientist" in done.stdout
    assert (tmp_path / "simple_demo_data" / "memoryos.db").is_file()


@pytest.mark.parametrize("name", ["a b", "ü#x", "q?y", "p%20q", "100%"])
def test_database_is_in_the_configured_folder(tmp_path: Path, name: str) -> None:
    with Memoryos("u", data_storage_path=tmp_path / name, embedder=HashEmbedder()) as memory:
        memory.add_memory("hello")
    assert (tmp_path / name / "memoryos.db").is_file()
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_closed_memory_raises(tmp_path: Path) -> None:
    memory = Memoryos("u", data_storage_path=tmp_path, embedder=HashEmbedder())
    memory.add_memory("hello")
    memory.close()
    memory.close()
    for use in (lambda: memory.add_memory("x"), lambda: memory.recall("x"), memory.get_memory_stats, memory.flush):
        with pytest.raises(StoreUnavailableError, match="closed"):
            use()


def test_garbage_collected_engine_ends_its_worker(tmp_path: Path) -> None:
    memory = Memoryos("u", data_storage_path=tmp_path, embedder=HashEmbedder())
    memory.add_memory("hello")
    del memory
    gc.collect()
    assert not [each for each in threading.enumerate() if each.name.startswith("memoryos")]


def test_page_is_found_immediately_after_add_memory(memory: Memory) -> None:
    page = memory.add_memory("The red bicycle stands in the shed.", "Noted.")
    assert memory.recall("Where is the bicycle?").short_term == (page,)
    for number in range(20):
        memory.add_memory(f"Something else, number {number}.", "Fine.")
    assert memory.recall("Where is the bicycle?").pages[0].page.page_id == page.page_id


def test_short_term_pages_are_shown_once(memory: Memory) -> None:
    for number in range(20):
        memory.add_memory(f"I bake bread number {number}.", "Good.")
    found = memory.recall("bread", max_pages=50)
    assert [page.seq for page in found.short_term] == list(range(14, 21))
    assert sorted(each.page.seq for each in found.pages) == list(range(1, 14))
    assert all(f"number {number}." in found.to_prompt() for number in range(20))
    assert "number 19" not in found.to_prompt(include_short_term=False)


def test_recall_respects_the_token_budget_and_quotes_verbatim(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0).memory("u")
    for number in range(40):
        memory.add_memory(
            f"I bake bread number {number} with rye.", "How did it taste?", f"2026-01-{number % 28 + 1:02}"
        )
    for budget in (20, 100, 400):
        found = memory.recall("Which bread has rye?", max_tokens=budget)
        shown = found.to_prompt(include_short_term=False, include_profile=False, include_knowledge=False)
        assert len(shown) / 4 <= found.tokens <= budget
        assert len(found.to_prompt()) / 4 <= budget
        assert all(each.text(side) in shown for each in found.pages for side in each.sides)
    assert found.pages


def test_every_recalled_item_has_signals(memory: Memory) -> None:
    for number in range(20):
        memory.add_memory(f"I bake bread number {number}.", "Good.")
    for each in memory.recall("bread number 3").pages:
        assert each.signals.total() == pytest.approx(each.score, abs=1e-3)
        assert each.shown


def test_empty_memory_recalls_nothing(memory: Memory) -> None:
    assert memory.recall("anything").pages == ()
    assert memory.get_user_profile_summary() == ""
    assert memory.get_memory_stats()["pages"] == 0
    assert memory.force_mid_term_analysis() == 0
    assert "don't remember" in memory.get_response("What is my name?")


def test_answer_has_sources_and_its_page_is_remembered(memory: Memory) -> None:
    page = memory.add_memory("My sister Nora lives in Porto.", "How lovely.")
    answer = memory.get_response("Where does Nora live?")
    assert "Porto" in answer
    assert answer.sources == (page.page_id,)
    assert [each.user_text for each in memory.pages()][-1] == "Where does Nora live?"
    memory.get_response("Where does Nora live?", remember=False)
    assert len(list(memory.pages())) == 2


def test_streamed_answer_is_remembered_after_its_last_piece(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=ScriptedAnalyst(answers=["one two three"])).memory("u")
    memory.add_memory("hello", "")
    pieces = memory.get_response("question", stream=True)
    assert next(pieces) == "one"
    assert len(list(memory.pages())) == 1
    assert list(pieces) == [" two", " three"]
    assert list(memory.pages())[-1].assistant_text == "one two three"


def test_stream_closed_early_is_not_remembered(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=ScriptedAnalyst(answers=["one two three"])).memory("u")
    memory.add_memory("hello", "")
    pieces = memory.get_response("question", stream=True)
    assert next(pieces) == "one"
    pieces.close()
    assert list(pieces) == []
    assert pieces.answer is None
    assert len(list(memory.pages())) == 1


@pytest.mark.parametrize(
    "ask",
    [lambda memory: memory.get_response("question"), lambda memory: list(memory.get_response("question", stream=True))],
)
def test_a_failed_answer_is_recorded_as_an_error_and_not_remembered(
    make_engine: EngineMaker, ask: Callable[[Memory], object]
) -> None:
    memory = make_engine(analyst=ScriptedAnalyst(answers=[AnalystUnavailableError("down")])).memory("u")
    memory.add_memory("hello", "")
    with pytest.raises(AnalystUnavailableError):
        ask(memory)
    assert len(list(memory.pages())) == 1
    assert memory.get_memory_stats()["last_error"] == "answer: AnalystUnavailableError: down"


def test_the_cost_of_an_answer_is_recorded(make_engine: EngineMaker) -> None:
    memory = make_engine(analyst=LLMAnalyst(ScriptedChatModel(["Yes. <sources></sources>"]))).memory("u")
    memory.get_response("Is the bread ready?", remember=False)
    assert [(each.purpose, each.calls) for each in memory.costs()] == [("answer", 1)]


def test_a_recalled_answer_is_not_learned_again(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0).memory("u")
    memory.add_memory("I work as a baker in Ghent.", "Lovely.")
    for _ in range(8):
        memory.get_response("What is my job?")
    memory.force_mid_term_analysis()
    texts = [entry.text for entry in memory.knowledge(None, history=True)]
    assert texts == ["Works as a baker in Ghent"]


def test_knowledge_of_a_user_is_invisible_to_others(make_engine: EngineMaker) -> None:
    engine = make_engine(short_term_capacity=0)
    ann, bob = engine.memory("ann", "helper"), engine.memory("bob", "helper")
    for _ in range(3):
        ann.add_memory("My PIN is 4711 and I live in Rome.", "I recommend changing the PIN 4711 each year.")
    ann.force_mid_term_analysis()
    bob.add_memory("Hello.", "Hello.")
    bob.flush()
    everything = bob.recall("What is the PIN? 4711 Rome", max_pages=50)
    assert "4711" not in everything.to_prompt()
    assert bob.knowledge(None, history=True) == []
    assert bob.profile.version == 0
    assert "4711" in ann.recall("What is the PIN?").to_prompt()


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("user_id", ["../../x", "/etc/x", "..", "'; DROP TABLE pages; --", "x" * 1000, "名前"])
def test_hostile_ids_are_treated_as_data(make_engine: EngineMaker, tmp_path: Path, user_id: str) -> None:
    memory = make_engine().memory(user_id)
    memory.add_memory("hello", "there")
    assert memory.get_memory_stats()["user_id"] == user_id
    assert {each.name for each in tmp_path.iterdir()} == {"store"}


def test_pages_keep_the_order_of_arrival_whatever_their_times(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=2).memory("u")
    for year in (2023, 2019, 2031, 2021, 2020):
        memory.add_memory(f"It happened in the year {year}", "", datetime(year, 1, 1, tzinfo=timezone.utc))
    memory.flush()
    assert [page.at.year for page in memory.pages()] == [2023, 2019, 2031, 2021, 2020]
    shown = memory.recall("happened", max_pages=9).to_prompt(include_short_term=False)
    assert shown.index("2019") < shown.index("2023") < shown.index("2031")


def test_megabyte_page_is_found_and_shown_as_an_excerpt(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0).memory("u")
    text = "filler words go on " * 30_000 + "the zebra sleeps in Oslo " + "and on and on " * 30_000
    memory.add_memory(text, "")
    memory.add_memory("something short", "")
    memory.flush()
    found = memory.recall("Where does the zebra sleep?", max_pages=1)
    assert found.pages[0].page.user_text == text
    assert "zebra sleeps in Oslo" in found.to_prompt()
    assert len(found.to_prompt()) < 10_000


@pytest.mark.kinds("sqlite")
def test_megabyte_pages_are_processed_in_reasonable_time(make_engine: EngineMaker) -> None:
    memory = make_engine(short_term_capacity=0).memory("u")
    for text in ("I work as " * 100_000, "1" * 1_000_000, "in a " * 200_000, "I " * 500_000, "我喜欢" * 300_000):
        memory.add_memory(text, text)
    memory.force_mid_term_analysis()
    assert memory.get_memory_stats()["pages_learned"] == 5
    assert memory.get_response("What is my job?")


def test_add_messages_is_atomic(memory: Memory) -> None:
    with pytest.raises(InputError):
        memory.add_messages([{"role": "user", "content": "fine"}, {"role": "user", "content": "\0"}])
    assert list(memory.pages()) == []
    assert len(memory.add_messages([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])) == 1
    assert memory.add_messages([]) == []


def test_export_and_import_keep_every_page(memory: Memory, make_engine: EngineMaker, tmp_path: Path) -> None:
    memory.add_memory("one", "", "2023-05-08T10:00:00", {"user_name": "Ann", "tags": ["x"]})
    memory.add_memory("", "two\nlines “quoted” 你好", "2023-05-09")
    assert memory.export(tmp_path / "pages.jsonl") == 2
    other = make_engine().memory("another")
    assert other.load(tmp_path / "pages.jsonl").pages == 2
    kept = [
        (page.at, page.user_text, page.assistant_text, page.user_name, dict(page.metadata)) for page in memory.pages()
    ]
    assert kept == [
        (page.at, page.user_text, page.assistant_text, page.user_name, dict(page.metadata)) for page in other.pages()
    ]
    with pytest.raises(InputError):
        memory.export(tmp_path / "pages.jsonl")


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"user_text": 3}', '{"user_text": "a", "colour": "red"}', "{}", '{"user_text": "a", "at": "soon"}'],
)
def test_import_error_names_the_line_and_adds_nothing(memory: Memory, tmp_path: Path, line: str) -> None:
    file = tmp_path / "pages.jsonl"
    file.write_text('{"user_text": "good"}\n' + line + "\n")
    with pytest.raises(InputError, match="line 2"):
        memory.load(file)
    assert list(memory.pages()) == []


def test_background_worker_consolidates_and_stops_with_the_engine(make_engine: EngineMaker) -> None:
    engine = make_engine(background=True, short_term_capacity=0, consolidation_batch=5, reading_delay_seconds=0.05)
    memory = engine.memory("u")
    for number in range(13):
        memory.add_memory(f"I bake bread number {number}", "Good.")
    deadline = datetime.now(timezone.utc) + timedelta(seconds=30)
    while memory.get_memory_stats()["pages_due"] and datetime.now(timezone.utc) < deadline:
        memory.flush(timeout=30)
    assert memory.get_memory_stats()["pages_due"] == 0


def test_a_second_engine_on_the_same_store_sees_and_adds(make_engine: EngineMaker) -> None:
    one, other = make_engine(short_term_capacity=0).memory("u"), make_engine(short_term_capacity=0).memory("u")
    one.add_memory("The red bicycle stands in the shed.", "")
    assert "bicycle" in other.recall("bicycle").to_prompt()
    other.add_memory("The blue boat lies in the harbour.", "")
    other.flush()
    assert "boat" in one.recall("boat").to_prompt()
    assert [page.seq for page in one.pages()] == [1, 2]


WRITER = """
import sys
from memoryos import MemoryEngine, Config
from memoryos.testing import HashEmbedder
with MemoryEngine(Config(database_url=sys.argv[1], short_term_capacity=3), embedder=HashEmbedder()) as engine:
    memory = engine.memory("u")
    for number in range(40):
        print(memory.add_memory(f"{sys.argv[2]} says {number}", "ok").page_id, flush=True)
    memory.flush()
"""


def test_several_processes_write_one_scope(place: str, make_engine: EngineMaker) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, place, name], stdout=subprocess.PIPE, text=True)
        for name in ("ann", "bob", "eve")
    ]
    added = [line for each in writers for line in each.communicate(timeout=120)[0].split()]
    assert [each.returncode for each in writers] == [0, 0, 0]
    memory = make_engine(short_term_capacity=3).memory("u")
    memory.flush()
    pages = list(memory.pages())
    assert sorted(page.page_id for page in pages) == sorted(added)
    assert [page.seq for page in pages] == list(range(1, 121))
    assert sum(each.page_count for each in memory.segments()) == 120


def test_killed_process_loses_no_acknowledged_page(place: str, make_engine: EngineMaker) -> None:
    acknowledged: list[str] = []
    for kill_after in (3, 17, 31):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, place, "ann"], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(kill_after):
            acknowledged.append(writer.stdout.readline().strip())
        writer.kill()
        acknowledged += writer.communicate()[0].split()
    memory = make_engine(short_term_capacity=3).memory("u")
    memory.flush()
    pages = list(memory.pages())
    assert set(acknowledged) <= {page.page_id for page in pages}
    assert memory.get_memory_stats()["pages_due"] == 0
    assert sum(each.page_count for each in memory.segments()) == len(pages)


def test_new_embedder_embeds_existing_pages_again(make_engine: EngineMaker) -> None:
    first = make_engine(short_term_capacity=0)
    memory = first.memory("u")
    for number in range(12):
        memory.add_memory(f"The red bicycle number {number}", "")
    memory.flush()
    first.close()
    again = make_engine(short_term_capacity=0, embedder=HashEmbedder(32)).memory("u")
    assert again.get_memory_stats()["pages_without_vector"] == 12
    assert len(again.recall("bicycle").pages) == 7
    again.flush()
    assert again.get_memory_stats()["pages_without_vector"] == 0
    assert again.recall("bicycle").pages


def test_an_embedder_that_fails_leaves_pages_findable_by_words_later(make_engine: EngineMaker) -> None:
    class Failing(HashEmbedder):
        broken = True

        def embed(self, texts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if self.broken:
                raise EmbeddingError("the model file is missing")
            return super().embed(texts)

    embedder = Failing()
    memory = make_engine(embedder=embedder, short_term_capacity=0).memory("u")
    memory.add_memory("The red bicycle", "")
    with pytest.raises(EmbeddingError):
        memory.flush()
    embedder.broken = False
    memory.flush()
    assert memory.get_memory_stats()["pages_without_vector"] == 0


def test_async_interface_returns_the_same_data(make_engine: EngineMaker) -> None:
    async def use() -> tuple[str, list[str]]:
        async with AsyncMemoryos(make_engine().memory("u")) as memory:
            await memory.add_memory("My sister Nora lives in Porto.", "How lovely.")
            await memory.flush()
            found = await memory.recall("Nora")
            pieces = [piece async for piece in memory.stream_response("Where does Nora live?")]
            assert (await memory.get_memory_stats())["pages"] == 2
            return found.to_prompt(), pieces

    prompt, pieces = asyncio.run(use())
    assert "Porto" in prompt
    assert "Porto" in "".join(pieces)


def test_async_interface_has_all_methods() -> None:
    properties = {"config", "engine", "modules", "profile", "scope"}
    iterators = {"export_lines", "pages"}
    blocking = {name for name in vars(Memory) if not name.startswith("_")} - properties - iterators
    assert blocking <= {name for name in vars(AsyncMemoryos) if not name.startswith("_")}


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="short_term_capacity"):
        Memoryos("u", data_storage_path=tmp_path, short_term_capacity=-1)
    with pytest.raises(ConfigError, match="embedding_model_name"):
        Memoryos("u", data_storage_path=tmp_path, embedding_model_name="unknown-model")
    with pytest.raises(ConfigError, match="engine"):
        Memoryos("u", engine=MemoryEngineStub(), short_term_capacity=3)  # type: ignore[arg-type]


class MemoryEngineStub:
    """Not used, because the settings are rejected first."""


def test_selected_analyst_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoryos.assembly._logged_messages", set())
    with caplog.at_level(logging.INFO, logger="memoryos"):
        for _ in range(2):
            Memoryos("u", "YOUR_OPENAI_API_KEY", tmp_path / "store", embedder=HashEmbedder()).close()
    assert [each.message for each in caplog.records if "analysed locally" in each.message] == [
        "no LLM is configured; pages are analysed locally, and no text is sent to another machine"
    ]


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (LeaseHeldError("busy"), "DEBUG"),
        (StoreConflictError("lost"), "INFO"),
        (StoreUnavailableError("full"), "WARNING"),
    ],
)
def test_lease_conflicts_of_the_worker_are_not_warnings(
    make_engine: EngineMaker,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: MemoryOSError,
    level: str,
) -> None:
    engine, drained = make_engine(), threading.Event()
    scope_id = engine.store.scopes.open(engine.memory("tom").scope, engine.clock())
    drain_turn = engine.updater.drain_turn

    def once(*given: Any, **named: Any) -> bool:
        if not drained.is_set():
            drained.set()
            raise error
        return drain_turn(*given, **named)

    monkeypatch.setattr(engine.updater, "drain_turn", once)
    with caplog.at_level(logging.DEBUG, logger="memoryos.updating.worker"):
        engine.worker.wake_all([scope_id])
        assert drained.wait(30)
        engine.close()
    assert [each.levelname for each in caplog.records] == [level]


def test_held_lease_raises_lease_held_error(make_engine: EngineMaker) -> None:
    engine, other = make_engine(), make_engine()
    scope_id = engine.store.scopes.open(engine.memory("tom").scope, engine.clock())
    with engine.updater.leases.acquire(scope_id), pytest.raises(LeaseHeldError):
        other.updater.drain(scope_id, everything=True, lease_timeout_seconds=0.0)


def test_no_user_text_is_logged_above_debug(make_engine: EngineMaker, caplog: pytest.LogCaptureFixture) -> None:
    memory = make_engine(
        analyst=ScriptedAnalyst(readings=[AnalystUnavailableError("down")]), short_term_capacity=0
    ).memory("u")
    with caplog.at_level(logging.INFO):
        memory.add_memory("secret words", "")
        with pytest.raises(AnalystUnavailableError):
            memory.flush()
    assert "secret" not in caplog.text


def test_dunder_all_is_complete_and_sorted() -> None:
    assert sorted(memoryos.__all__) == memoryos.__all__
    assert all(hasattr(memoryos, name) for name in memoryos.__all__)
    assert MemoryEngine.memory.__doc__
    assert Config.paper().segment_gate == 5


def test_only_the_injected_clock_provides_times(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine().memory("u")
    assert memory.add_memory("hello", "").at == clock()
