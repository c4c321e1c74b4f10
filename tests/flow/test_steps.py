"""Steps of a drain: their order, and the rules that decide which of them is due."""

from __future__ import annotations

from memoryos.engine import MemoryEngine
from memoryos.testing import ScriptedAnalyst
from memoryos.updating.steps import Drain, Steps
from tests.conftest import EngineMaker

ALWAYS_TRIED = {"forget", "tidy"}
"""Steps whose work is found by the store when they are taken."""


def steps_of(engine: MemoryEngine) -> Steps:
    return engine.updater._steps


def due_steps(engine: MemoryEngine, *, everything: bool) -> list[str]:
    (scope_id,) = engine.store.scopes.all()
    drain = Drain(scope_id, everything=everything, holds_records=False, may_redo=True)
    return [each.name for each in steps_of(engine).in_order if each.name not in ALWAYS_TRIED and each.is_due(drain)]


def test_steps_are_taken_in_a_fixed_order(make_engine: EngineMaker) -> None:
    engine = make_engine(background=False)
    names = [each.name for each in steps_of(engine).in_order]
    assert names == ["forget", "embed", "read", "archive", "expire", "profile", "redo", "tidy"]


def test_added_pages_are_due_for_embedding_and_incomplete_batches_only_for_a_flush(make_engine: EngineMaker) -> None:
    engine = make_engine(background=False, consolidation_batch=3, analyst=ScriptedAnalyst())
    memory = engine.memory("tom")
    for number in range(2):
        memory.add_memory(f"I bake bread number {number}.", "Good.")
    assert due_steps(engine, everything=False) == ["embed"]
    assert due_steps(engine, everything=True) == ["embed", "read"]
    memory.add_memory("I bake bread number 2.", "Good.")
    assert due_steps(engine, everything=False) == ["embed", "read"]


def test_no_step_is_due_after_a_flush(make_engine: EngineMaker) -> None:
    engine = make_engine(background=False, short_term_capacity=1, consolidation_batch=2, mid_term_capacity=1)
    memory = engine.memory("tom")
    for text in ("I bake bread with rye.", "My dog Rex swims.", "Taxes are due.", "The opera was loud."):
        memory.add_memory(text, "Good.")
    memory.flush()
    assert due_steps(engine, everything=True) == []
