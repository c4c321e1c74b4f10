"""Measures recall with few and with many facts: two memories with the same pages and different numbers of facts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.micro.dialogue import exchanges, questions
from benchmarks.recorded import Record, RecordedAnalyst
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.identifiers import new_id
from memoryos.memory import Memory
from memoryos.model import SIDES, Knowledge, Origin, Page
from memoryos.seams import Embedder

__all__ = ["FACTS_PER_SIDE", "time_recalls"]

FACTS_PER_SIDE = (100, 2_000)
PAGES = 1_000
SAMPLES = 200


def time_recalls(
    folder: Path,
    *,
    pages: int = PAGES,
    samples: int = SAMPLES,
    facts_per_side: tuple[int, int] = FACTS_PER_SIDE,
    embedder: Embedder | None = None,
) -> dict[str, float]:
    """Returns the median time of a recall by number of facts per side, and their ratio (many ÷ few).

    The facts are stored directly and embedded as usual. No fact comes from the pages, so the numbers are exact. The two
    memories are measured in turns, with different questions, so that neither uses a cached vector of the other.
    """
    config = Config(data_storage_path=folder, background=False, database_url=None)
    seconds: dict[int, list[float]] = {count: [] for count in facts_per_side}
    with MemoryEngine(config, embedder=embedder, analyst=RecordedAnalyst(Record())) as engine:
        memories = {count: _remember(engine, count, pages) for count in facts_per_side}
        for memory in memories.values():
            memory.recall("a first one loads everything")
        for count, question in zip(cycle(facts_per_side), questions(2 * samples), strict=False):
            started = time.perf_counter()
            memories[count].recall(question)
            seconds[count].append(time.perf_counter() - started)
    few, many = (statistics.median(seconds[count]) for count in facts_per_side)
    names = (f"recall_p50_ms_with_{count}_facts_per_side" for count in facts_per_side)
    return dict(zip(names, (few * 1e3, many * 1e3), strict=True)) | {"ratio": many / few}


def _remember(engine: MemoryEngine, facts_per_side: int, pages: int) -> Memory:
    """Returns a memory with the pages of the synthetic dialogue and this number of facts about each side."""
    memory = engine.memory(f"bench-{facts_per_side}")
    stored = [memory.add_memory(*exchange) for exchange in exchanges(pages)]
    memory.flush()
    scope_id = engine.store.scopes.find(memory.scope)
    if scope_id is None:
        raise RuntimeError("the memory has no pages")
    engine.store.long_term.add(scope_id, list(_facts(stored, facts_per_side)))
    memory.flush()
    stats: dict[str, Any] = memory.get_memory_stats()
    found = (stats["knowledge_about_user"], stats["knowledge_about_assistant"])
    if found != (facts_per_side, facts_per_side):
        raise RuntimeError(f"the memory has {found} current facts instead of {facts_per_side} per side")
    return memory


def _facts(pages: list[Page], per_side: int) -> Iterator[Knowledge]:
    """Yields facts with distinct texts about both sides, spread over the pages."""
    chosen = islice(cycle(pages), per_side)
    for number, (page, said) in enumerate(zip(chosen, exchanges(per_side, seed=23), strict=True)):
        for side, text in zip(SIDES, said[:2], strict=True):
            yield Knowledge(
                knowledge_id=new_id(),
                about=side,
                text=f"{text} Entry {number}.",
                recorded_at=page.at,
                valid_from=None,
                superseded_by=None,
                archived_at=None,
                source_page_ids=(page.page_id,),
                origin=Origin("benchmark", "1"),
            )
