"""Measures speed and memory use: ``python -m benchmarks.micro``. Compare ratios: times depend on the machine."""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.micro.dialogue import exchanges, questions
from benchmarks.micro.many_facts import FACTS_PER_SIDE, time_recalls
from memoryos import Memoryos
from memoryos.config import Config
from memoryos.engine import MemoryEngine

SIZES = (100, 1_000, 10_000)
SAMPLES = 200
COLD = """
import json, re, sys, time
started = time.perf_counter()
from benchmarks.micro.many_facts import FACTS_PER_SIDE, time_recalls
from memoryos import Memoryos
imported = time.perf_counter()
memory = Memoryos("bench", data_storage_path=sys.argv[1], short_term_capacity=7)
opened = time.perf_counter()
recall = memory.recall("What did I say about the violin that my aunt repaired in Kyoto?")
recalled = time.perf_counter()
memory.close()
print(json.dumps({"import_seconds": imported - started, "open_seconds": opened - imported,
                  "first_recall_seconds": recalled - opened, "open_and_first_recall_seconds": recalled - imported,
                  "pages_found": len(recall.pages),
                  "peak_megabytes": int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024}))
"""


def main() -> None:
    """Runs all measurements and prints each figure with its bound."""
    arguments = _arguments()
    report: dict[str, Any] = {"pages": arguments.pages}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        report["add"] = _adding(Path(folder))
        report["consolidation"] = _growing(Path(folder) / "grown", arguments.pages)
        report["recall"] = _recalling(Path(folder) / "grown")
        report["facts"] = time_recalls(Path(folder) / "facts")
        runs = [_cold(Path(folder) / "grown") for _ in range(3)]
        report["cold"] = sorted(runs, key=lambda run: run["open_and_first_recall_seconds"])[1]
    _show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


def _adding(folder: Path) -> dict[str, Any]:
    """Compares the time of ``add_memory`` with that of a simple durable commit of the same bytes.

    The two are measured in turns, at three numbers of stored pages, while a worker runs.
    """
    bare = _bare_database(folder / "bare.db")
    figures: dict[str, Any] = {}
    with Memoryos("bench", data_storage_path=folder / "adding") as memory:
        said = exchanges(SIZES[-1] + SAMPLES)
        count = 0
        for size in SIZES:
            while count < size - SAMPLES // 2:
                memory.add_memory(*next(said))
                count += 1
            ours, bares = [], []
            for _ in range(SAMPLES):
                user, assistant, at = next(said)
                bares.append(_seconds(lambda: bare(user, assistant)))  # noqa: B023
                ours.append(_seconds(lambda: memory.add_memory(user, assistant, at)))  # noqa: B023
                count += 1
            figures[str(size)] = {
                "add_p50_ms": statistics.median(ours) * 1e3,
                "bare_commit_p50_ms": statistics.median(bares) * 1e3,
                "ratio": statistics.median(ours) / statistics.median(bares),
            }
    return figures


def _bare_database(file: Path) -> Callable[[str, str], None]:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE pages (seq INTEGER PRIMARY KEY, user_text TEXT, assistant_text TEXT)")

    def commit(user: str, assistant: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO pages (user_text, assistant_text) VALUES (?, ?)", (user, assistant))
        connection.execute("COMMIT")

    return commit


def _growing(folder: Path, pages: int) -> dict[str, Any]:
    """Stores and consolidates the pages in a separate process, so that its memory use can be measured."""
    command = [sys.executable, "-m", "benchmarks.micro.growing", str(folder), str(pages)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _recalling(folder: Path) -> dict[str, float]:
    with MemoryEngine(Config(data_storage_path=folder, background=False)) as engine:
        memory = engine.memory("bench")
        memory.recall("a first one loads everything")
        embeds, recalls = [], []
        for question in questions(SAMPLES):
            embeds.append(_seconds(lambda: engine.embedder.embed([question])))  # noqa: B023
            recalls.append(_seconds(lambda: memory.recall(question)))  # noqa: B023
        ratio = statistics.median(recalls) / statistics.median(embeds)
    return {
        "embed_p50_ms": statistics.median(embeds) * 1e3,
        "recall_p50_ms": statistics.median(recalls) * 1e3,
        "ratio": ratio,
    }


def _cold(folder: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", COLD, str(folder)], check=True, capture_output=True, text=True)  # noqa: S603
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _show(report: dict[str, Any]) -> None:
    ratios = [each["ratio"] for each in report["add"].values()]
    rows = [
        ("add_memory p50 ÷ plain durable commit, worst of 100, 1,000, 10,000 pages", max(ratios), 3.0),
        (
            "add_memory p50 at 10,000 pages ÷ at 100",
            report["add"]["10000"]["add_p50_ms"] / report["add"]["100"]["add_p50_ms"],
            1.5,
        ),
        (f"recall p50 at {report['pages']:,} pages ÷ embedding the query", report["recall"]["ratio"], 4.0),
        (
            "recall p50 with {1:,} facts per side ÷ with {0:,}".format(*FACTS_PER_SIDE),
            report["facts"]["ratio"],
            1.2,
        ),
        ("opening and first recall, seconds", report["cold"]["open_and_first_recall_seconds"], 1.5),
        ("peak memory of that process, MB", report["cold"]["peak_megabytes"], 450.0),
        ("peak memory of the process that ingested them, MB", report["consolidation"]["peak_megabytes"], 450.0),
        ("ingest and consolidation per page, last tenth ÷ first tenth", report["consolidation"]["growth"], 1.3),
    ]
    for name, value, bound in rows:
        sys.stdout.write(f"{name:<75}{value:>9.2f}  (bound {bound:g}) {'' if value <= bound else ' OVER'}\n")


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument(
        "--folder", type=Path, default=None, help="folder for the databases (default: the system's temporary folder)"
    )
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
