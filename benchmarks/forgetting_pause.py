"""Measures how long other users wait while pages are forgotten: ``python -m benchmarks.forgetting_pause --pages 16000``.

One process forgets and erases half of the pages of a user. Meanwhile a second process adds pages for another user.
"""

from __future__ import annotations

import argparse
import json
import random
import select
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.inputs import read_draft
from memoryos.testing import HashEmbedder

FIRST_DAY = datetime(2025, 1, 1, tzinfo=timezone.utc)
DIMENSIONS = 384
WORDS = [f"w{number}" for number in range(3_000)]


def main() -> None:
    """Prints one JSON line with the duration of forgetting and the longest wait of the second process, in seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=16_000)
    parser.add_argument("--write-to", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write_to is None:
        _forget(arguments.pages)
    else:
        _write(arguments.write_to)


def _forget(pages: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _engine(folder) as engine:
            memory = engine.memory("tom")
            _fill(engine, pages)
            bytes_before = sum(file.stat().st_size for file in folder.iterdir())
            command = [sys.executable, "-m", "benchmarks.forgetting_pause", "--write-to", str(folder)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:  # noqa: S603
                if other.stdout is None:
                    raise RuntimeError("the output of the second process can't be read")
                other.stdout.readline()
                started, busy = time.perf_counter(), time.process_time()
                receipt = memory.forget(before=FIRST_DAY + timedelta(hours=pages // 2))
                seconds, busy_seconds = time.perf_counter() - started, time.process_time() - busy
                waits = json.loads(other.communicate("\n")[0])
    row = {
        "pages": pages,
        "forgotten": len(receipt.page_ids),
        "erased": receipt.erased,
        "megabytes_before": round(bytes_before / 1e6),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(busy_seconds, 2),
    }
    sys.stdout.write(json.dumps(row | waits) + "\n")


def _engine(folder: Path) -> MemoryEngine:
    return MemoryEngine(Config(data_storage_path=folder, background=False), embedder=HashEmbedder(DIMENSIONS))


def _fill(engine: MemoryEngine, pages: int) -> None:
    chooser = random.Random(1)
    scope_id = engine.store.scopes.open(engine.memory("tom").scope, FIRST_DAY)
    now = FIRST_DAY
    drafts = []
    for number in range(pages):
        said, replied = (" ".join(chooser.choices(WORDS, k=50)) + f". Number {number}." for _ in range(2))
        drafts.append(read_draft(said, replied, now + timedelta(hours=number), None, now=now))
    engine.store.log.append(scope_id, drafts, now)
    engine.updater.embed(scope_id, lease_timeout_seconds=60)


def _write(folder: Path) -> None:
    """Adds pages until a line arrives on standard input. Then prints the longest and the median duration of a call."""
    waits: list[float] = []
    with _engine(folder) as engine:
        memory = engine.memory("mia")
        memory.add_memory("warm up")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while not select.select([sys.stdin], [], [], 0)[0]:
            started = time.perf_counter()
            memory.add_memory("hello")
            waits.append(time.perf_counter() - started)
            time.sleep(0.01)
    figures = {"writes": len(waits), "longest_wait_seconds": max(waits), "median_wait_seconds": float(np.median(waits))}
    sys.stdout.write(json.dumps({name: round(value, 3) for name, value in figures.items()}) + "\n")


if __name__ == "__main__":
    main()
