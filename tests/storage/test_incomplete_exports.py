"""Importing a file in which records are missing: incomplete readings are undone, and their pages are read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memoryos.testing import FixedClock
from tests.conftest import EngineMaker

LINES = [
    "I live in Utrecht.",
    "I work as a baker.",
    "My sister is called Nora.",
    "I love sailing.",
    "I play the violin.",
]


@pytest.mark.parametrize("missing", ["segment", "chain", "reading"])
def test_pages_of_incomplete_readings_are_read_again(
    make_engine: EngineMaker, clock: FixedClock, tmp_path: Path, missing: str
) -> None:
    engine = make_engine(consolidation_batch=2)
    memory = engine.memory("tom")
    for line in LINES:
        memory.add_memory(line, "I see.", clock())
        clock.advance(minutes=5)
    memory.flush()
    known = {each.text for each in memory.knowledge(None)}
    assert known
    kept = [line for line in memory.export_lines() if json.loads(line)["kind"] != missing]
    (tmp_path / "less.jsonl").write_text("\n".join(kept))
    other = engine.memory("mia")
    other.load(tmp_path / "less.jsonl")
    assert other.get_memory_stats()["pages_due"] == len(LINES)
    assert other.knowledge(None) == []
    assert engine.store.verify() == []
    other.flush()
    assert {each.text for each in other.knowledge(None)} == known
    assert engine.store.verify() == []
