"""Readings and traits of the fallback analyst are provisional, and the configured analyst replaces them."""

from __future__ import annotations

from collections import Counter

from memoryos.analysts.llm import LLMAnalyst
from memoryos.analysts.local import LocalAnalyst
from memoryos.errors import AnalystUnavailableError
from memoryos.memory import Memory
from memoryos.seams import ChatRequest
from memoryos.storage.reading_table import ReadingRow
from memoryos.testing import FixedClock, ScriptedChatModel, ok_reply
from tests.conftest import EngineMaker


class Flaky:
    """A chat model that is unavailable while ``away`` is set."""

    def __init__(self) -> None:
        self.away = True
        self.model = ScriptedChatModel(reply=self._reply)

    def _reply(self, request: ChatRequest) -> str | Exception:
        if self.away:
            return AnalystUnavailableError("away")
        return ok_reply([(each.role, each.content) for each in request.messages])


def memory_of(make_engine: EngineMaker, flaky: Flaky, **given: object) -> Memory:
    no_pause = {"retry_base_seconds": 1e-9, "retry_max_seconds": 1e-9}
    analysts = {"analyst": LLMAnalyst(flaky.model), "fallback_analyst": LocalAnalyst()}
    return make_engine(**analysts, **no_pause, short_term_capacity=0, consolidation_batch=3, **given).memory("tom")


def add(memory: Memory, clock: FixedClock, *texts: str) -> None:
    for text in texts:
        memory.add_memory(text, "", clock())
        clock.advance(minutes=1)
    memory.flush()


def readings_of(memory: Memory) -> list[ReadingRow]:
    seqs = [page.seq for page in memory.pages()]
    found: list[ReadingRow] = memory.engine.store.readings.that_saw(memory._handle.find(), seqs)
    return found


def check(memory: Memory) -> None:
    assert {page.reading_id for page in memory.pages()} == {each.reading_id for each in readings_of(memory)}
    assert memory.engine.store.verify() == []
    held = Counter(page.segment_id for page in memory.pages())
    assert {each.segment_id: each.page_count for each in memory.segments()} == held
    unprofiled = Counter(page.segment_id for page in memory.pages() if not page.profiled)
    assert {each.segment_id: each.length for each in memory.segments() if each.length} == dict(unprofiled)


def test_pages_that_are_read_again_move_to_segments_of_the_configured_analyst(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    flaky = Flaky()
    memory = memory_of(make_engine, flaky, mid_term_heat_threshold=100)
    add(memory, clock, *(f"I went sailing near Porto, trip {number}." for number in range(4)))
    assert memory.get_memory_stats()["pages_provisional"] == 4
    by_rules = {each.segment_id for each in memory.segments()}
    check(memory)
    flaky.away = False
    add(memory, clock, "I baked rye bread in Utrecht.")
    assert memory.get_memory_stats()["pages_provisional"] == 0
    check(memory)
    scope_id = memory._handle.find()
    store = memory.engine.store
    origins = {each.segment_id: store.mid_term.origin(scope_id, each.segment_id) for each in memory.segments()}
    assert {origin.analyst for origin in origins.values() if origin} == {"llm/scripted"}
    assert {each.origin.analyst for each in memory.knowledge(None, history=True)} == {"llm/scripted"}
    assert {each.origin.analyst for each in readings_of(memory)} == {"llm/scripted"}
    chains = {page.chain_id for page in memory.pages()}
    assert all(store.mid_term.chain(scope_id, str(chain_id)) for chain_id in chains)
    assert by_rules - {each.segment_id for each in memory.segments()} == by_rules - set(origins)


def test_only_the_work_of_the_fallback_analyst_is_redone(make_engine: EngineMaker, clock: FixedClock) -> None:
    flaky = Flaky()
    flaky.away = False
    memory = memory_of(make_engine, flaky, mid_term_heat_threshold=1)
    add(memory, clock, "I love sailing.", "I love rye bread.")
    kept = {entry.knowledge_id for entry in memory.knowledge()}
    assert kept
    flaky.away = True
    add(memory, clock, "I own a blue bicycle.", "I live in Utrecht.")
    provisional = {entry.knowledge_id for entry in memory.knowledge()} - kept
    assert provisional
    flaky.away = False
    clock.advance(hours=3)
    memory.flush()
    current = {entry.knowledge_id for entry in memory.knowledge()}
    assert kept <= current
    assert not provisional & current
    assert {entry.origin.analyst for entry in memory.knowledge()} == {"llm/scripted"}
    check(memory)


def test_nothing_is_lost_or_repeated_while_the_analyst_is_unavailable(
    make_engine: EngineMaker, clock: FixedClock
) -> None:
    flaky = Flaky()
    memory = memory_of(make_engine, flaky, mid_term_heat_threshold=1)
    add(memory, clock, "I own a blue bicycle.", "I live in Utrecht.", "I love sailing.")
    before = (list(memory.pages()), memory.segments(), memory.knowledge(None, history=True), memory.profile)
    asked = len(flaky.model.requests)
    memory.flush()
    assert (list(memory.pages()), memory.segments(), memory.knowledge(None, history=True), memory.profile) == before
    assert len(flaky.model.requests) == asked + 1, "a flush tries once to redo"
    assert memory.get_memory_stats()["last_error"].startswith("redo: AnalystUnavailableError")
