"""Measures the costs of many memories and of very large memories: ``python -m benchmarks.scale``.

The benchmark measures three cases:

* two databases with 100 and with 10,000 memories of 100 pages each, in turns;
* the first recall in memories of 600 pages;
* recalls in one memory of 100,000 pages.

The figures do not include the time of an embedding model, because a synthetic embedder computes the vectors.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.postgres import DURABLE, running_server

from benchmarks.scale.agreement import EXACT_BYTES, QUANTISED_BYTES, USER, compare
from benchmarks.scale.synthetic import SyntheticEmbedder, endless, fill
from memoryos import Config, MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres import Server

    from memoryos.memory import Memory

PAGES_A_SCOPE = 100
COLD_PAGES = 600
COLD_SCOPES = 20
TRIED_SCOPES = 100
ROUNDS = 5
MOST_GROWTH = 1.5
MOST_COLD_MS = 50.0
MOST_DISK = 3.0
MOST_HUGE_MS = 60.0
HUGE_QUERIES = 50


def main() -> None:
    """Fills the databases, runs the measurements, and prints and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=100, help="Number of scopes in the small store.")
    parser.add_argument("--many", type=int, default=10_000, help="Number of scopes in the large store.")
    parser.add_argument("--huge", type=int, default=100_000, help="Number of pages in the large scope; 0 skips it.")
    parser.add_argument("--folder", type=Path, help="Folder for the stores (default: a temporary folder).")
    parser.add_argument(
        "--postgresql", action="store_true", help="Use a temporary PostgreSQL server instead of SQLite."
    )
    parser.add_argument("--json", type=Path, help="JSON file for the figures.")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    with _stores(arguments.folder, postgresql=arguments.postgresql) as places:
        figures |= _many(places, arguments.few, arguments.many)
        if arguments.huge:
            figures |= _huge(places, arguments.huge)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


class _Stores:
    """Creates databases: SQLite files in a folder, or databases on a PostgreSQL server."""

    def __init__(self, folder: Path, server: Server | None) -> None:
        self._folder = folder
        self._server = server
        self._urls: dict[str, str] = {}

    def opened(self, name: str, max_bytes: int = EXACT_BYTES) -> MemoryEngine:
        """Returns an engine for the database with a name. Creates the database at the first call."""
        if name not in self._urls:
            self._urls[name] = self._server.empty_database() if self._server else f"sqlite:///{self._folder / name}.db"
        config = Config(database_url=self._urls[name], background=False, working_set_max_bytes=max_bytes)
        return MemoryEngine(config, embedder=SyntheticEmbedder())

    def disk_bytes(self, name: str) -> int:
        """Returns the size of a database on disk, in bytes."""
        if self._server:
            ((size,),) = self._server.execute(
                f"SELECT pg_database_size('{self._urls[name].split('@/')[1].split('?')[0]}')"
            )
            return int(str(size))
        return sum(each.stat().st_size for each in self._folder.glob(f"{name}.db*") if each.is_file())


@contextlib.contextmanager
def _stores(parent: Path | None, *, postgresql: bool) -> Iterator[_Stores]:
    with tempfile.TemporaryDirectory(dir=parent) as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(DURABLE | {"synchronous_commit": "on"})) if postgresql else None
        yield _Stores(Path(folder), server)


def _many(places: _Stores, few: int, many: int) -> dict[str, Any]:
    said = endless(seed=5)
    figures: dict[str, Any] = {}
    with places.opened("few") as small, places.opened("many") as large:
        for name, engine, scopes in (("few", small, few), ("many", large, many)):
            started = time.perf_counter()
            held = sum(fill(engine, f"user-{number}", PAGES_A_SCOPE, said) for number in range(scopes))
            held += sum(fill(engine, f"cold-{number}", COLD_PAGES, said) for number in range(COLD_SCOPES))
            pages = scopes * PAGES_A_SCOPE + COLD_SCOPES * COLD_PAGES
            figures[name] = {
                "pages": pages,
                "fill_seconds": round(time.perf_counter() - started, 1),
                "held_bytes": held,
            }
        timings = _in_turns({"few": (small, few), "many": (large, many)}, said)
        for name, engine in (("few", small), ("many", large)):
            figures[name] |= timings[name] | _cold(engine, said)
    for name in ("few", "many"):
        figures[name]["disk_bytes"] = places.disk_bytes(name)
        figures[name]["disk_ratio"] = round(figures[name]["disk_bytes"] / figures[name]["held_bytes"], 2)
    figures["growth"] = {
        what: round(figures["many"][what] / figures["few"][what], 2)
        for what in ("add_p50_ms", "recall_p50_ms", "first_recall_p50_ms")
    }
    figures["within_bounds"] = (
        max(figures["growth"]["add_p50_ms"], figures["growth"]["recall_p50_ms"]) <= MOST_GROWTH
        and figures["many"]["cold_600_pages_p50_ms"] <= MOST_COLD_MS
        and figures["many"]["disk_ratio"] <= MOST_DISK
    )
    return figures


def _in_turns(
    stores: dict[str, tuple[MemoryEngine, int]], said: Iterator[tuple[str, str]]
) -> dict[str, dict[str, float]]:
    """Returns the median times of adding a page, and of the first and of further recalls.

    The databases are measured in turns, so that disturbances affect both.
    """
    chooser = random.Random(3)
    tried = {name: chooser.sample(range(scopes), min(TRIED_SCOPES, scopes)) for name, (_, scopes) in stores.items()}
    times: dict[str, dict[str, list[float]]] = {name: {"add": [], "recall": [], "first_recall": []} for name in stores}
    for round_number in range(ROUNDS):
        for place in range(TRIED_SCOPES):
            for name, (engine, scopes) in stores.items():
                memory = engine.memory(f"user-{tried[name][place % scopes]}")
                user, assistant = next(said)
                kind = "recall" if round_number else "first_recall"
                times[name][kind].append(_recall(memory, user))
                times[name]["add"].append(_timed(partial(memory.add_memory, user, assistant)))
    return {
        name: {f"{kind}_p50_ms": round(statistics.median(values) * 1000, 3) for kind, values in kinds.items()}
        for name, kinds in times.items()
    }


def _cold(engine: MemoryEngine, said: Iterator[tuple[str, str]]) -> dict[str, float]:
    times = []
    for number in range(COLD_SCOPES):
        query = next(said)[0]
        memory = engine.memory(f"cold-{number}")
        times.append(_recall(memory, query))
    return {
        "cold_600_pages_p50_ms": round(statistics.median(times) * 1000, 2),
        "cold_600_pages_worst_ms": round(max(times) * 1000, 2),
    }


def _huge(places: _Stores, pages: int) -> dict[str, Any]:
    """Measures recalls in one large memory with exact and with quantised vectors: agreement, time and memory use."""
    said = endless(seed=9)
    with places.opened(USER) as engine:
        fill(engine, USER, pages, said)
    queries = [next(said)[0] for _ in range(HUGE_QUERIES)]
    with places.opened(USER) as exact, places.opened(USER, max_bytes=QUANTISED_BYTES) as coded:
        figures = {"pages": pages} | compare(exact, coded, queries)
    slowest = max(figures[each]["recall_p50_ms"] for each in ("exact", "coded"))
    return {"huge": figures | {"within_bounds": figures["within_bounds"] and slowest <= MOST_HUGE_MS}}


def _recall(memory: Memory, query: str) -> float:
    return _timed(partial(memory.recall, query, max_tokens=1000))


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
