"""Measures the costs of a page and a recall with the built-in embedder: processor time, durable commits, bytes."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.micro.dialogue import exchanges
from memoryos import Config, MemoryEngine
from memoryos.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

SCOPES = 20
PAGES_A_SCOPE = 50
RECALLS = 200


@dataclass(frozen=True)
class Costs:
    """The measured costs on this machine.

    Attributes:
        add_ms: Processor time of ``add_memory``.
        embed_ms: Processor time of embedding a page, in the background.
        consolidate_ms: Processor time of consolidating a page with the local analyst.
        recall_ms: Processor time of a recall with a cached working set.
        load_ms: Processor time of loading a working set of 50 pages.
        commits: Durable commits per page, in total.
        disk_bytes: Bytes per page on disk, in total.
        working_bytes: Bytes per page in a working set.
        text_bytes: Bytes of the texts of a page.
    """

    add_ms: float
    embed_ms: float
    consolidate_ms: float
    recall_ms: float
    load_ms: float
    commits: float
    disk_bytes: float
    working_bytes: float
    text_bytes: float

    @property
    def page_ms(self) -> float:
        """Total processor time of a page: adding, embedding and consolidating."""
        return self.add_ms + self.embed_ms + self.consolidate_ms


def measure_costs(folder: Path) -> Costs:
    """Measures the costs of adding a synthetic dialogue to twenty memories and of two hundred recalls."""
    pages = SCOPES * PAGES_A_SCOPE
    said = list(exchanges(pages))
    with _counted() as commits, MemoryEngine(Config(data_storage_path=folder, background=False)) as engine:
        engine.embedder.embed(["the first call loads the model"])
        memories = [engine.memory(f"user-{number}") for number in range(SCOPES)]

        def add() -> None:
            for number, (user, assistant, at) in enumerate(said):
                memories[number % SCOPES].add_memory(user, assistant, at)

        def flush() -> None:
            for each in memories:
                each.flush()

        added = _processor_ms(add) / pages
        embedded = _processor_ms(lambda: [each.embed() for each in memories]) / pages
        consolidated = _processor_ms(flush) / pages
        loaded = _processor_ms(lambda: [each.recall("what was it about?") for each in memories]) / SCOPES
        queries = [user for user, _, _ in said[:RECALLS]]
        recalled = (
            _processor_ms(lambda: [memories[n % SCOPES].recall(query) for n, query in enumerate(queries)]) / RECALLS
        )
        held = engine.working_sets.nbytes / pages
        written = sum(len(user.encode()) + len(assistant.encode()) for user, assistant, _ in said) / pages
    disk = sum(each.stat().st_size for each in folder.glob("memoryos.db*") if each.is_file()) / pages
    return Costs(added, embedded, consolidated, recalled, loaded, commits[0] / pages, disk, held, written)


def _processor_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


@contextlib.contextmanager
def _counted() -> Iterator[list[int]]:
    """Counts the write transactions of all databases."""
    count = [0]
    write = Database.write

    @contextlib.contextmanager
    def counted(self: Database, scope_id: str | None = None, *, waits: bool = True) -> Iterator[sa.Connection]:
        count[0] += 1
        with write(self, scope_id, waits=waits) as connection:
            yield connection

    Database.write = counted  # type: ignore[method-assign]
    try:
        yield count
    finally:
        Database.write = write  # type: ignore[method-assign]
