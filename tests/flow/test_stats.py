"""Counts of a memory: from one snapshot, without reading the counted rows."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from memoryos.current_facts import FactView
from memoryos.engine import MemoryEngine
from memoryos.model import Knowledge
from memoryos.storage.long_term_table import LongTermTable
from memoryos.storage.mid_term_table import MidTermTable


def remember(engine: MemoryEngine, count: int) -> None:
    memory = engine.memory("tom")
    for number in range(count):
        memory.add_memory(f"I like tea number {number}.", "Good.")
    memory.flush()
    memory.force_mid_term_analysis()


def test_all_counts_are_from_one_snapshot(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(engine, 9)
    memory = engine.memory("tom")
    before = memory.get_memory_stats()
    view = LongTermTable.view

    def view_while_somebody_writes(self: LongTermTable, scope_id: str, now: datetime) -> FactView:
        counted = view(self, scope_id, now)
        writing = threading.Thread(target=memory.add_memory, args=("One more.",))
        writing.start()
        writing.join(20)
        assert not writing.is_alive()
        return counted

    monkeypatch.setattr(LongTermTable, "view", view_while_somebody_writes)
    assert memory.get_memory_stats() == before
    monkeypatch.setattr(LongTermTable, "view", view)
    assert memory.get_memory_stats()["pages"] == before["pages"] + 1


def test_counts_equal_the_lengths_of_the_lists(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(engine, 12)
    memory = engine.memory("tom")
    first = memory.knowledge()[0]
    memory.correct(first.knowledge_id, "I like coffee.")
    everything = memory.knowledge(None, history=True)
    current = memory.knowledge(None)
    segments, archived = memory.segments(), memory.segments(archived=True)

    def fail(*_: object, **__: object) -> list[Knowledge]:
        raise AssertionError("rows are read")

    monkeypatch.setattr(MidTermTable, "all", fail)
    stats = memory.get_memory_stats()
    assert stats["knowledge_about_user"] == sum(each.about == "user" for each in current)
    assert stats["knowledge_about_assistant"] == sum(each.about == "assistant" for each in current)
    assert stats["knowledge_no_longer_current"] == len(everything) - len(current) > 0
    assert (stats["segments"], stats["segments_archived"]) == (len(segments), len(archived))
