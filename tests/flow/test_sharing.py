"""Sharing of assistant knowledge between users."""

from __future__ import annotations

from pathlib import Path

import pytest

from memoryos.errors import InputError, NotFoundError
from memoryos.testing import FixedClock
from tests.conftest import EngineMaker


def test_only_the_given_facts_are_shared(make_engine: EngineMaker, clock: FixedClock, tmp_path: Path) -> None:
    engine = make_engine(short_term_capacity=0, mid_term_heat_threshold=1.0)
    ann, bob = engine.memory("ann"), engine.memory("bob")
    for number in range(4):
        ann.add_memory(f"My PIN is 123{number}.", "I recommend the ferry to Porto on Sundays.", clock())
    ann.add_memory("I live in Ghent.", "I promise to remind you of the violin lesson.", clock())
    bob.add_memory("Hello there.", "Good morning.", clock())
    ann.force_mid_term_analysis()
    taught = ann.knowledge("assistant")
    assert taught
    assert bob.knowledge("assistant") == []
    shared = engine.share_assistant_knowledge(ann, bob, [taught[0].knowledge_id])
    assert [entry.text for entry in bob.knowledge("assistant")] == [taught[0].text] == [entry.text for entry in shared]
    assert shared[0].source_page_ids == ()
    assert shared[0].origin.analyst == "shared"
    assert "123" not in bob.recall("What is the PIN?").to_prompt()
    assert engine.share_assistant_knowledge(ann, bob, [taught[0].knowledge_id]) == [], (
        "a known fact is not copied again"
    )
    about_ann = ann.knowledge("user")
    assert about_ann
    with pytest.raises(InputError, match="about the user"):
        engine.share_assistant_knowledge(ann, bob, [about_ann[0].knowledge_id])
    with pytest.raises(NotFoundError):
        engine.share_assistant_knowledge(ann, bob, ["invented"])
    bob.export(tmp_path / "bob.jsonl")
    assert engine.memory("eve").load(tmp_path / "bob.jsonl").tiers
    assert [entry.text for entry in engine.memory("eve").knowledge("assistant")] == [taught[0].text]
