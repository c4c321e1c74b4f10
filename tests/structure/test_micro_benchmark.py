"""Tests of the measurement of recall with many facts."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.micro import many_facts
from benchmarks.micro.many_facts import time_recalls

from memoryos.testing import HashEmbedder


def test_two_memories_with_different_numbers_of_facts_are_measured(tmp_path: Path) -> None:
    figures = time_recalls(tmp_path, pages=24, samples=3, facts_per_side=(2, 30), embedder=HashEmbedder())
    few, many = (figures[f"recall_p50_ms_with_{count}_facts_per_side"] for count in (2, 30))
    assert few > 0
    assert figures["ratio"] == pytest.approx(many / few)


def test_a_memory_with_another_number_of_facts_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = many_facts._facts
    monkeypatch.setattr(many_facts, "_facts", lambda pages, per_side: [*found(pages, per_side)][1:])
    with pytest.raises(RuntimeError, match=r"has \(1, 2\) current facts"):
        time_recalls(tmp_path, pages=12, samples=1, facts_per_side=(2, 3), embedder=HashEmbedder())
