"""Forgetting by id: deletes pages with all derived data, including the bytes in the files."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from memoryos.analysts.llm import LLMAnalyst
from memoryos.errors import AnalystError, InputError, NotFoundError, StoreConflictError
from memoryos.memory import Memory
from memoryos.model import Page
from memoryos.seams import Batch, Material, Meter, Profiling, Reading
from memoryos.testing import FixedClock, ScriptedAnalyst, ScriptedChatModel
from tests.conftest import EngineMaker

SECRET = "I was diagnosed with diabetes in the spring of 2021."
LINES = [
    "I'm Tom and I work as a data scientist in Utrecht.",
    "My sister Nora lives in Porto.",
    SECRET,
    "I love baking rye bread on Sundays.",
    "I am learning to play the violin.",
    "We went sailing near Porto last week.",
    "I bought a house in Utrecht.",
    "My neighbour has a red bicycle.",
]
SETTINGS = {"short_term_capacity": 1, "mid_term_heat_threshold": 1.0, "consolidation_batch": 3}


def fill(memory: Memory, clock: FixedClock, lines: list[str] = LINES) -> None:
    for line in lines:
        memory.add_memory(line, f"Noted: {line}" if line == SECRET else "I see.", clock())
        clock.advance(minutes=5)
    memory.flush()


def page_with(memory: Memory, text: str) -> str:
    return next(page.page_id for page in memory.pages() if text in page.user_text)


def everything_said(memory: Memory, folder: Path) -> str:
    """Returns all data that the public methods of a memory return."""
    target = folder / f"export-{len(list(folder.glob('export-*')))}.jsonl"
    memory.export(target)
    recall = memory.recall("Which illness do I have, diabetes?", max_pages=50)
    parts = [recall.to_prompt(), target.read_text(), memory.get_user_profile_summary(), repr(memory.profile_history())]
    parts += [repr(memory.segments()), repr(memory.segments(archived=True)), repr(memory.knowledge(None, history=True))]
    return "\n".join([*parts, repr(memory.get_memory_stats())])


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.mark.kinds("sqlite")
@pytest.mark.parametrize("analyst", ["local", "llm"])
def test_forgotten_content_is_in_no_table_file_or_answer(
    analyst: str, make_engine: EngineMaker, clock: FixedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "memoryos")
    given = {} if analyst == "local" else {"analyst": LLMAnalyst(ScriptedChatModel())}
    memory = make_engine(**SETTINGS, **given).memory("tom")
    fill(memory, clock)
    answer = memory.get_response("Which illness do I have, diabetes?")
    assert "diagnosed with diabetes" in answer
    memory.flush()
    assert b"diagnosed with diabetes" in bytes_of(tmp_path / "store")
    receipt = memory.forget(page_ids=[page_with(memory, "diabetes in")])
    assert receipt.erased
    assert not receipt.dry_run
    assert len(receipt.page_ids) == 1
    assert len(receipt.answer_page_ids) == 1
    for moment in ("at once", "consolidated again", "opened again"):
        if moment == "consolidated again":
            memory.flush()
            memory.force_mid_term_analysis()
        if moment == "opened again":
            memory.engine.close()
            memory = make_engine(**SETTINGS, **given).memory("tom")
        left = everything_said(memory, tmp_path)
        for words in ("diagnosed", "spring of 2021"):
            said = left.replace("Which illness do I have, diabetes?", "")
            assert words not in said, moment
            stored = bytes_of(tmp_path / "store").replace(b"Which illness do I have, diabetes?", b"")
            assert words.encode() not in stored, moment
            assert words not in caplog.text
    stats = memory.get_memory_stats()
    assert stats["pages_due"] == 0
    assert stats["pages"] == len(LINES)
    assert "Porto" in memory.recall("Where does Nora live?").to_prompt()


def test_data_with_other_source_pages_is_derived_again(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock, ["I live in Utrecht.", "I love rye bread.", "I live in Utrecht.", "The end.", "Really."])
    before = [entry.text for entry in memory.knowledge()]
    assert any("Utrecht" in text for text in before)
    first = next(entry for entry in memory.knowledge() if "Utrecht" in entry.text).source_page_ids[0]
    memory.forget(page_ids=[first])
    assert not any("Utrecht" in text for text in (entry.text for entry in memory.knowledge()))
    memory.force_mid_term_analysis()
    held = list(memory.pages())
    assert all(page.segment_id for page in held)
    assert sum(each.page_count for each in memory.segments()) == len(held) == 4


def test_a_dry_run_lists_the_closure_and_changes_nothing(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    before = (list(memory.pages()), memory.segments(), memory.knowledge(None, history=True), memory.profile)
    page_id = page_with(memory, "data scientist")
    tried = memory.forget(page_ids=[page_id], dry_run=True)
    assert (list(memory.pages()), memory.segments(), memory.knowledge(None, history=True), memory.profile) == before
    assert tried.dry_run
    assert not tried.erased
    done = memory.forget(page_ids=[page_id])
    names = ("page_ids", "knowledge_ids", "attributes", "traits", "segments", "pages_due", "echo_page_ids")
    assert {name: getattr(done, name) for name in names} == {name: getattr(tried, name) for name in names}
    assert done.knowledge_ids
    assert done.attributes == ("job",)


def test_forgetting_by_query_only_previews(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    tried = memory.forget(query_preview="my sister Nora")
    assert tried.dry_run
    assert page_with(memory, "Nora") in tried.page_ids
    assert len(list(memory.pages())) == len(LINES)


@pytest.mark.kinds("sqlite")
def test_forget_before_a_time_and_forget_everything(
    make_engine: EngineMaker, clock: FixedClock, tmp_path: Path
) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    fourth = list(memory.pages())[3]
    assert len(memory.forget(before=fourth.at).page_ids) == 3
    assert next(memory.pages()).page_id == fourth.page_id
    listed = memory.forget(everything=True, dry_run=True)
    assert len(listed.page_ids) == len(LINES) - 3
    assert memory.forget(everything=True).erased
    assert list(memory.pages()) == []
    assert memory.segments() == []
    assert memory.knowledge(None, history=True) == []
    assert memory.profile_history() == []
    stored = bytes_of(tmp_path / "store")
    assert not any(line.encode() in stored for line in LINES)
    memory.add_memory("Life goes on after that.", "", clock())
    assert memory.recall("life").short_term


def test_a_forgotten_fact_is_not_learned_again(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    entry = memory.knowledge()[0]
    receipt = memory.forget(knowledge_ids=[entry.knowledge_id])
    assert receipt.knowledge_ids == (entry.knowledge_id,)
    assert receipt.page_ids == ()
    memory.rebuild("local")
    assert entry.text not in [each.text for each in memory.knowledge(None, history=True)]


def test_a_corrected_fact_stays_corrected_and_keeps_its_history(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    wrong = next(entry for entry in memory.knowledge() if "data scientist" in entry.text)
    assert memory.profile.attribute("job")
    right = memory.correct(wrong.knowledge_id, "Works as a baker in Utrecht.")
    assert right.origin.analyst == "user"
    assert [entry.text for entry in memory.history(right.knowledge_id)] == [wrong.text, right.text]
    assert memory.history(wrong.knowledge_id) == memory.history(right.knowledge_id)
    assert memory.profile.attribute("job") == "baker in Utrecht"
    memory.force_mid_term_analysis()
    current = [entry.text for entry in memory.knowledge()]
    assert right.text in current
    assert wrong.text not in current
    with pytest.raises(NotFoundError):
        memory.correct(wrong.knowledge_id, "again")
    with pytest.raises(InputError):
        memory.correct(right.knowledge_id, "  ")


def test_worker_writes_nothing_about_pages_forgotten_during_its_call(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    class Interrupted(ScriptedAnalyst):
        def read(self, batch: Batch, meter: Meter) -> Reading:
            if not self.calls:
                other.forget(page_ids=[batch.pages[0].page_id])
            return super().read(batch, meter)

    memory = make_engine(analyst=Interrupted(), short_term_capacity=0).memory("tom")
    other = make_engine(short_term_capacity=0).memory("tom")
    memory.add_memory(SECRET, "", clock())
    memory.add_memory("I love rye bread.", "", clock())
    with pytest.raises(StoreConflictError):
        memory.engine.updater.drain(memory._handle.find(), everything=True)
    assert memory.segments() == []
    memory.flush()
    assert [page.user_text for page in memory.pages()] == ["I love rye bread."]
    assert sum(each.page_count for each in memory.segments()) == 1


class Forgetful(ScriptedAnalyst):
    """An analyst during whose first calls the pages are forgotten by another thread."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times
        self.elsewhere: list[Memory] = []

    def read(self, batch: Batch, meter: Meter) -> Reading:
        self._forget(batch.pages[0])
        return super().read(batch, meter)

    def profile(self, material: Material, meter: Meter) -> Profiling:
        self._forget(material.pages[0])
        return super().profile(material, meter)

    def _forget(self, page: Page) -> None:
        if self.left:
            self.left -= 1
            self.elsewhere[0].forget(page_ids=[page.page_id])


@pytest.mark.parametrize("work", ["flush", "force_mid_term_analysis"])
@pytest.mark.parametrize("times", [1, 5, 1000])
def test_flush_completes_during_concurrent_forgetting(
    make_engine: EngineMaker, clock: FixedClock, times: int, work: str
) -> None:
    analyst = Forgetful(times)
    settings = {"short_term_capacity": 0, "consolidation_batch": 2, "mid_term_heat_threshold": 0.0}
    memory = make_engine(analyst=analyst, **settings).memory("tom")
    analyst.elsewhere.append(make_engine(**settings).memory("tom"))
    for number in range(40):
        memory.add_memory(f"I bake bread number {number}.", "", clock())
    if times == 1000:
        with pytest.raises(StoreConflictError):
            getattr(memory, work)()
        assert 990 - 20 < analyst.left < 1000
        analyst.left = 0
    getattr(memory, work)()
    stats = memory.get_memory_stats()
    assert (stats["pages_due"], stats["pages_without_vector"]) == (0, 0)
    assert analyst.left == 0
    assert memory.engine.store.verify() == []
    if times < 1000:
        assert stats["pages"] == 40 - times


def test_flush_respects_its_timeout_during_concurrent_forgetting(make_engine: EngineMaker, clock: FixedClock) -> None:
    analyst = Forgetful(1000)
    memory = make_engine(analyst=analyst, short_term_capacity=0, consolidation_batch=2).memory("tom")
    analyst.elsewhere.append(make_engine(short_term_capacity=0).memory("tom"))
    for number in range(20):
        memory.add_memory(f"I bake bread number {number}.", "", clock())
    with pytest.raises(TimeoutError):
        memory.flush(timeout=0)


def test_invalid_arguments_raise_clear_errors(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    with pytest.raises(NotFoundError):
        memory.forget(everything=True)
    fill(memory, clock)
    with pytest.raises(InputError):
        memory.forget()
    with pytest.raises(InputError):
        memory.forget(everything=True, before="2026-01-01")
    with pytest.raises(InputError):
        memory.forget(before="no time")
    page_id = page_with(memory, "Nora")
    with pytest.raises(NotFoundError, match="nothing was forgotten"):
        memory.forget(page_ids=[page_id, "invented"])
    assert page_with(memory, "Nora") == page_id
    other = memory.engine.memory("mia")
    other.add_memory("Another user's page.", "")
    with pytest.raises(NotFoundError):
        other.forget(page_ids=[page_id])
    memory.forget(page_ids=[page_id])
    assert memory.forget(page_ids=[page_id]).page_ids == (), "forgetting is idempotent"


def test_forgetting_survives_a_failing_analyst(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    memory.forget(page_ids=[page_with(memory, "diabetes in")])
    away = ScriptedAnalyst(readings=[AnalystError("away")] * 9)
    waiting = make_engine(analyst=away, **SETTINGS).memory("tom")
    with pytest.raises(AnalystError):
        waiting.flush()
    assert len(list(waiting.pages())) == len(LINES) - 1
    memory.flush()
    assert memory.get_memory_stats()["pages_due"] == 0


def test_remaining_pages_of_archived_segments_are_read_again(make_engine: EngineMaker, clock: FixedClock) -> None:
    given = {
        "short_term_capacity": 0,
        "consolidation_batch": 2,
        "mid_term_capacity": 1,
        "mid_term_similarity_threshold": 2,
    }
    memory = make_engine(analyst=ScriptedAnalyst(), **given).memory("tom")
    for line in LINES[:6]:
        memory.add_memory(line, "", clock())
        clock.advance(minutes=1)
    memory.flush()
    archived = {each.segment_id: each.page_count for each in memory.segments(archived=True)}
    assert sorted(archived.values()) == [2, 2]
    memory.forget(page_ids=[page_with(memory, "diabetes in")])
    assert memory.get_memory_stats()["pages_due"] > 0
    memory.flush()
    segments = [*memory.segments(archived=True), *memory.segments()]
    assert sum(each.page_count for each in segments) == 5
    assert len(memory.segments()) == 1
    assert memory.engine.store.verify() == []
