"""Rebuilding the tiers from the log: atomic, with a list of differences."""

from __future__ import annotations

import json

import pytest

from memoryos.analysts.llm import LLMAnalyst
from memoryos.analysts.local import LocalAnalyst
from memoryos.errors import AnalystUnavailableError, ConfigError, NotFoundError
from memoryos.memory import Memory
from memoryos.model import Origin
from memoryos.testing import FixedClock, ScriptedChatModel, ok_reply
from tests.conftest import EngineMaker

LINES = [
    "I'm Tom and I work as a data scientist in Utrecht.",
    "My sister Nora lives in Porto.",
    "I love baking rye bread.",
    "I am learning to play the violin.",
    "We went sailing near Porto last week.",
    "I bought a house in Utrecht.",
]
SETTINGS = {"short_term_capacity": 1, "mid_term_heat_threshold": 2.0}


def fill(memory: Memory, clock: FixedClock) -> None:
    for line in LINES:
        memory.add_memory(line, "I see.", clock())
        clock.advance(minutes=5)
    memory.flush()


def state(memory: Memory) -> tuple[object, ...]:
    return list(memory.pages()), memory.segments(), memory.knowledge(None, history=True), memory.profile


def test_rebuild_derives_tiers_with_another_analyst(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    by_rules = memory.knowledge(None)
    assert by_rules
    before = list(memory.pages())
    model = ScriptedChatModel(name="other")
    again = make_engine(analyst=LLMAnalyst(model), **SETTINGS).memory("tom")
    rebuilt = again.rebuild()
    assert rebuilt.applied
    assert rebuilt.origin.analyst == "llm/other"
    assert {entry.origin.analyst for entry in again.knowledge(None)} == {"llm/other"}
    assert set(rebuilt.knowledge_added) == {entry.text for entry in again.knowledge(None)} - {e.text for e in by_rules}
    assert set(rebuilt.knowledge_removed) == {e.text for e in by_rules} - {e.text for e in again.knowledge(None)}
    history = again.knowledge(None, history=True)
    assert {entry.knowledge_id for entry in by_rules} <= {entry.knowledge_id for entry in history}
    assert [page.page_id for page in again.pages()] == [page.page_id for page in before]
    stats = again.get_memory_stats()
    assert stats["pages_due"] == 0
    assert sum(each.page_count for each in again.segments()) == len(LINES)
    assert again.recall("Where does Nora live?").pages
    assert stats["llm_calls"] == len(model.requests), "usage is recorded"


def test_other_engines_see_the_rebuilt_tiers(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    assert memory.recall("Porto").pages
    make_engine(analyst=LLMAnalyst(ScriptedChatModel()), **SETTINGS).memory("tom").rebuild()
    found = memory.recall("Where does Nora live?")
    segments = {segment.segment_id for segment in memory.segments()}
    assert {each.page.segment_id for each in found.pages} <= segments
    assert {each.knowledge.origin.analyst for each in found.knowledge} == {"llm/scripted"}


def test_rebuild_dry_run_reports_changes_and_makes_none(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    before = state(memory)
    again = make_engine(analyst=LLMAnalyst(ScriptedChatModel()), **SETTINGS).memory("tom")
    tried = again.rebuild(dry_run=True)
    assert not tried.applied
    assert tried.knowledge_added
    assert state(again) == before
    assert again.rebuild().knowledge_added == tried.knowledge_added


def test_rebuild_with_the_same_analyst_changes_no_fact(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    rebuilt = memory.rebuild("local")
    assert (rebuilt.knowledge_added, rebuilt.knowledge_removed, rebuilt.attributes, rebuilt.traits) == ((), (), (), ())
    assert rebuilt.knowledge_kept == len(memory.knowledge(None)) > 0


def test_results_of_older_analyst_versions_stay_until_a_rebuild(
    make_engine: EngineMaker, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("memoryos.analysts.local._ORIGIN", Origin("local", "0"))
        fill(make_engine(**SETTINGS).memory("tom"), clock)
    memory = make_engine(**SETTINGS).memory("tom")
    before = state(memory)
    memory.flush()
    assert state(memory) == before
    assert {entry.origin.version for entry in memory.knowledge(None)} == {"0"}
    rebuilt = memory.rebuild()
    assert {entry.origin for entry in memory.knowledge(None)} == {LocalAnalyst().origin} == {rebuilt.origin}


def test_failed_rebuild_changes_nothing(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    before = state(memory)
    model = ScriptedChatModel(reply=lambda _: AnalystUnavailableError("down"))
    again = make_engine(analyst=LLMAnalyst(model), **SETTINGS).memory("tom")
    with pytest.raises(AnalystUnavailableError):
        again.rebuild()
    assert len(model.requests) == 3, "three attempts"
    assert state(again) == before
    assert again.engine.store.scopes.holder(again._handle.find()) is None, "the lease is released"


def test_rebuild_survives_occasional_analyst_failures(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    model = ScriptedChatModel([AnalystUnavailableError("down")])
    again = make_engine(analyst=LLMAnalyst(model), **SETTINGS).memory("tom")
    assert again.rebuild().applied


def test_pages_added_during_a_rebuild_stay_due(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    come = iter([True])

    def progress(read: int) -> None:  # noqa: ARG001
        if next(come, False):
            memory.add_memory("I was late for the rebuild.", "", clock())

    memory.rebuild("local", progress=progress)
    assert memory.get_memory_stats()["pages"] == len(LINES) + 1
    memory.flush()
    assert sum(each.page_count for each in memory.segments()) == len(LINES) + 1


def test_rebuild_without_its_lease_writes_nothing(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(lease_seconds=60, **SETTINGS).memory("tom")
    other = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    before = state(memory)
    steps = iter(range(100))

    def progress(read: int) -> None:  # noqa: ARG001
        if next(steps) == 1:
            clock.advance(seconds=3600)
            with other.engine.updater.leases.acquire(other._handle.find()):
                pass

    with pytest.raises(Exception, match="lease"):
        memory.rebuild("local", progress=progress)
    assert state(memory) == before


def test_rebuild_empties_a_profile_without_sources(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    fill(memory, clock)
    assert memory.profile.attributes
    model = ScriptedChatModel(
        reply=lambda request: json.dumps(
            json.loads(ok_reply([(m.role, m.content) for m in request.messages])) | {"facts": [], "traits": []}
        )
    )
    again = make_engine(analyst=LLMAnalyst(model), **SETTINGS).memory("tom")
    version = again.profile.version
    rebuilt = again.rebuild()
    assert again.profile.attributes == ()
    assert again.profile.version == version + 1
    assert {change.after for change in rebuilt.attributes} == {None}
    assert len(again.engine.store.long_term.profile_versions(again._handle.find())) == version + 1


def test_rebuild_without_pages_or_llm_raises_clear_errors(make_engine: EngineMaker, clock: FixedClock) -> None:
    memory = make_engine(**SETTINGS).memory("tom")
    with pytest.raises(NotFoundError):
        memory.rebuild()
    fill(memory, clock)
    with pytest.raises(ConfigError, match="no LLM is configured"):
        memory.rebuild("llm")
