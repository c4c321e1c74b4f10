"""Runs many writers on one memory: ``python -m benchmarks.processes``. Compare ratios: times depend on the machine."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.crash.checking import NOTHING_FOUND_BY
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.errors import StoreUnavailableError
from memoryos.memory import Memory
from memoryos.model import PageDraft, Scope
from memoryos.seams import Batch, Material, Meter, Profiling, Reading
from memoryos.storage.database import Database
from memoryos.storage.store import Store
from memoryos.testing import HashEmbedder
from memoryos.updating import worker as background

if TYPE_CHECKING:
    import sqlalchemy as sa

DATABASE = "memoryos.db"
SCOPE = ("tom", "helper")
SETTINGS: dict[str, Any] = {
    "consolidation_batch": 5,
    "mid_term_capacity": 40,
    "mid_term_heat_threshold": 3.0,
    "mid_term_similarity_threshold": 1.2,
    "reading_delay_seconds": 0.2,
}
"""Small batches, so that the workers of all processes compete for the scope constantly."""
BURST = 10
PAUSE_SECONDS = 0.3
"""Writers add a burst of pages and pause, so that the number of busy writers varies."""
RECALL_EVERY = 25
FLUSH_EVERY = 20
"""Number of pages after which a writer flushes, so that the lease changes its owner."""
FLUSH_SECONDS = 0.3
"""Timeout of such a flush."""
THREADS = (1, 8, 32)
APPENDS = 1600
ROUNDS = 5
_NAMES = "Nora Lin Omar Ada Kofi Mei Jan Ines".split()
_PLACES = "Porto Utrecht Osaka Recife Ghent Cork Leeds Turin".split()
_THINGS = "bicycle camera violin sofa kettle guitar telescope tent".split()


@dataclass
class Written:
    """What one writer process did.

    Attributes:
        name: Number of the writer.
        seqs: Positions of its pages, in the order of its additions.
        errors: Exceptions raised to the caller.
        flushes: Number of completed flushes, and number of flushes that timed out.
        warnings: Log messages of its worker.
        held: Intervals in which it held the lease, which is the right to process the memory, in nanoseconds of the
            monotonic clock.
        read: Intervals in which its analyst processed pages, in nanoseconds of the monotonic clock.
        add_ms: Duration of each addition, in milliseconds.
        seconds: Total duration.
    """

    name: int
    seqs: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    flushes: list[int] = field(default_factory=lambda: [0, 0])
    warnings: list[str] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)
    read: list[tuple[int, int]] = field(default_factory=list)
    add_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0


class _Recorder(logging.Handler):
    """Records the intervals of leases and analyst calls, and the log messages."""

    def __init__(self, written: Written, engine: MemoryEngine) -> None:
        super().__init__(logging.WARNING)
        self._written = written
        acquire, analyst = engine.updater.leases.acquire, engine.analyst

        @contextlib.contextmanager
        def recorded(*given: Any, **named: Any) -> Iterator[Any]:
            with acquire(*given, **named) as lease, self._recording(written.held):
                yield lease

        def read(batch: Batch, meter: Meter) -> Reading:
            with self._recording(written.read):
                return type(analyst).read(analyst, batch, meter)

        def profile(material: Material, meter: Meter) -> Profiling:
            with self._recording(written.read):
                return type(analyst).profile(analyst, material, meter)

        vars(engine.updater.leases)["acquire"] = recorded
        vars(analyst).update(read=read, profile=profile)

    def emit(self, record: logging.LogRecord) -> None:
        self._written.warnings.append(record.getMessage() + (f": {record.exc_info[1]!r}" if record.exc_info else ""))

    @contextlib.contextmanager
    def _recording(self, times: list[tuple[int, int]]) -> Iterator[None]:
        started = time.monotonic_ns()
        try:
            yield
        finally:
            times.append((started, time.monotonic_ns()))


def open_memory(folder: Path, *, worker: bool) -> Memory:
    """Opens the scope with the settings of this benchmark."""
    config = Config(data_storage_path=folder, background=worker, **SETTINGS)
    return MemoryEngine(config, embedder=HashEmbedder()).memory(*SCOPE)


def said(writer: int, number: int) -> tuple[str, str]:
    """Returns the user's and the assistant's text of a page, given its writer and number."""
    chooser = random.Random(writer * 100_003 + number)
    name, place, thing = (chooser.choice(words) for words in (_NAMES, _PLACES, _THINGS))
    texts = (
        f"My friend {name} lives in {place}.",
        f"I love my {thing}, which {name} repaired in {place}.",
        f"I bought a {thing} in {place} last week.",
        f"Could you find me a {thing} in {place}?",
    )
    return f"{chooser.choice(texts)} [{writer}/{number}]", f"Tell me more about {place} and the {thing}."


def write(folder: Path, name: int, pages: int) -> Written:
    """Waits for a line on standard input. Then adds the pages of one writer while its worker runs."""
    vars(background).update(QUIET_SECONDS=0.0005, FOREGROUND_TIMEOUT_SECONDS=0.01)
    written = Written(name)
    memory = open_memory(folder, worker=True)
    logging.getLogger("memoryos").addHandler(_Recorder(written, memory.engine))
    chooser = random.Random(name)
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    for number in range(pages):
        try:
            before = time.perf_counter()
            written.seqs.append(memory.add_memory(*said(name, number), meta_data={"at": [name, number]}).seq)
            written.add_ms.append((time.perf_counter() - before) * 1e3)
            if number % RECALL_EVERY == 0:
                memory.recall(f"Where does {chooser.choice(_NAMES)} live?")
            if chooser.randrange(FLUSH_EVERY) == 0:
                written.flushes[_is_cut_short(memory)] += 1
        except Exception as error:  # noqa: BLE001  (whatever it is, it is what this benchmark looks for)
            written.errors.append(f"{type(error).__name__}: {error}")
        time.sleep(chooser.uniform(0, PAUSE_SECONDS if number % BURST == 0 else 0.002))
    written.seconds = time.perf_counter() - started
    memory.engine.close()
    return written


def _is_cut_short(memory: Memory) -> bool:
    """Calls ``flush``. Returns True if it timed out, for example because another process holds the lease."""
    try:
        memory.flush(timeout=FLUSH_SECONDS)
    except TimeoutError:
        return True
    except StoreUnavailableError as error:
        if "another worker holds" not in str(error):
            raise
        return True
    return False


def run_processes(folder: Path, processes: int, pages: int) -> list[Written]:
    """Runs the writers in parallel processes and returns their records."""
    with open_memory(folder, worker=False).engine:
        pass
    options = ["--folder", str(folder), "--pages", str(pages)]
    command = [sys.executable, "-m", "benchmarks.processes", *options]
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen(  # noqa: S603
            [*command, "--writer", str(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )
        for name in range(processes)
    ]
    for each in writers:
        if each.stdout is None or each.stdout.readline() != "ready\n":
            raise RuntimeError("a writer process did not start; see its error output above")
    for each in writers:
        if each.stdin is not None:
            each.stdin.write("go\n")
            each.stdin.flush()
    return [Written(**json.loads(each.communicate()[0])) for each in writers]


def check(folder: Path, written: list[Written]) -> dict[str, Any]:
    """Checks the database after the writers and again after ``flush``. Returns figures and problems."""
    problems = [f"writer {each.name}: {error}" for each in written for error in each.errors]
    wanted = sum(len(each.seqs) for each in written)
    with open_memory(folder, worker=False).engine as engine:
        memory = engine.memory(*SCOPE)
        before = memory.get_memory_stats()
        problems += _check_log(memory, written)
        problems += _inconsistencies(folder)
        memory.flush()
        problems += [f"after the flush: {each}" for each in (*_inconsistencies(folder), *_check_tiers(memory))]
        stats = memory.get_memory_stats()
    for what in ("held", "read"):
        times = sorted(interval for each in written for interval in getattr(each, what))
        overlaps = sum(next_[0] < this[1] for this, next_ in pairwise(times))
        if overlaps:
            problems.append(f"two processes {what} the scope at the same time ({overlaps} times)")
    if stats["pages"] != wanted:
        problems.append(f"{stats['pages']} of {wanted} pages are stored")
    add_ms = sorted(ms for each in written for ms in each.add_ms)
    return {
        "processes": len(written),
        "pages": stats["pages"],
        "pages_due_before_the_flush": before["pages_due"],
        "segments": stats["segments"],
        "segments_archived": stats["segments_archived"],
        "knowledge": stats["knowledge_about_user"],
        "leases_taken": [len(each.held) for each in written],
        "analyst_calls": [len(each.read) for each in written],
        "leases_passed_on": _passed_on(written),
        "flushes_ended": sum(each.flushes[0] for each in written),
        "flushes_cut_short": sum(each.flushes[1] for each in written),
        "warnings": Counter(warning for each in written for warning in each.warnings),
        "pages_a_second": wanted / max(each.seconds for each in written),
        "add_p50_ms": statistics.median(add_ms),
        "add_p99_ms": add_ms[int(len(add_ms) * 0.99)],
        "add_worst_ms": add_ms[-1],
        "problems": problems,
    }


def _passed_on(written: list[Written]) -> int:
    holders = [name for _, name in sorted((start, each.name) for each in written for start, _ in each.held)]
    return sum(this != next_ for this, next_ in pairwise(holders))


def _check_log(memory: Memory, written: list[Written]) -> list[str]:
    pages = list(memory.pages())
    problems = []
    if [page.seq for page in pages] != list(range(1, len(pages) + 1)):
        problems.append("the positions have gaps")
    for each in written:
        mine = [page for page in pages if page.metadata["at"][0] == each.name]
        if [page.metadata["at"][1] for page in mine] != list(range(len(mine))):
            problems.append(f"pages of writer {each.name} are missing or out of order")
        if [page.seq for page in mine] != each.seqs:
            problems.append(f"pages of writer {each.name} have other positions than reported")
        if any((page.user_text, page.assistant_text) != said(*page.metadata["at"]) for page in mine):
            problems.append(f"pages of writer {each.name} have other texts than added")
    return problems


def _check_tiers(memory: Memory) -> Iterator[str]:
    stats = memory.get_memory_stats()
    for name in ("pages_due", "pages_without_vector", "analyst_failures"):
        if stats[name]:
            yield f"{name} is {stats[name]}"
    held = Counter(page.segment_id for page in memory.pages() if page.segment_id is not None)
    if held != {each.segment_id: each.page_count for each in (*memory.segments(), *memory.segments(archived=True))}:
        yield "the page count of a segment is wrong"
    if sum(held.values()) != stats["pages"]:
        yield f"{sum(held.values())} pages are in segments"


def _inconsistencies(folder: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        damage = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        return damage + [name for name, query in NOTHING_FOUND_BY.items() if connection.execute(query).fetchone()]


def time_threads(folder: Path) -> dict[str, Any]:
    """Measures threads that add pages to one memory, in turns with and without group commit."""
    figures: dict[str, Any] = {}
    grouped = Database.write_grouped
    for threads in THREADS:
        rates: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(ROUNDS * 2):
            is_grouped = turn % 2 == 0
            vars_of = grouped if is_grouped else _write_alone
            setattr(Database, grouped.__name__, vars_of)
            rates[is_grouped].append(_appends_a_second(folder / f"{threads}-{turn}.db", threads))
        setattr(Database, grouped.__name__, grouped)
        figures[str(threads)] = {
            "grouped_a_second": statistics.median(rates[True]),
            "alone_a_second": statistics.median(rates[False]),
            "ratio": statistics.median(one / other for one, other in zip(rates[True], rates[False], strict=True)),
        }
    return figures


def _write_alone(database: Database, scope_id: str, work: Callable[[sa.Connection], Any]) -> Any:
    with database.write(scope_id) as connection:
        return work(connection)


def _appends_a_second(file: Path, threads: int) -> float:
    now = datetime.now(timezone.utc)
    with Store(file) as store:
        scope_id = store.scopes.open(Scope(*SCOPE), now)

        def append(name: int) -> None:
            for number in range(APPENDS // threads if threads > 1 else APPENDS // 4):
                store.log.append(scope_id, [PageDraft(now, *said(name, number))], now)

        running = [threading.Thread(target=append, args=(name,)) for name in range(threads)]
        started = time.perf_counter()
        for each in running:
            each.start()
        for each in running:
            each.join()
        return store.log.count(scope_id) / (time.perf_counter() - started)


def main() -> None:
    """Runs processes and threads, and prints the figures. Exits with 1 if there are problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="folder for the stores (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="JSON file for the figures")
    parser.add_argument("--writer", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.writer is not None:
        print(json.dumps(asdict(write(arguments.folder, arguments.writer, arguments.pages))))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        shared = Path(folder) / "shared"
        figures = check(shared, run_processes(shared, arguments.processes, arguments.pages))
        report = {"processes": figures, "threads": time_threads(Path(folder))}
    print(json.dumps(report, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    if figures["problems"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
