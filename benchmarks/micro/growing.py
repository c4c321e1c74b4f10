"""Stores and consolidates pages. Prints the time per page in each tenth of the pages, and the peak memory, as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.evidence import peak_megabytes
from benchmarks.micro.dialogue import exchanges
from memoryos.config import Config
from memoryos.engine import MemoryEngine


def main() -> None:
    """Runs the measurement with the folder and the number of pages from the command line."""
    folder, pages = Path(sys.argv[1]), int(sys.argv[2])
    figures: dict[str, Any] = {}
    tenth = pages // 10
    with MemoryEngine(Config(data_storage_path=folder, background=False)) as engine:
        memory = engine.memory("bench")
        said = list(exchanges(pages))
        for start in range(0, pages, tenth):
            started = time.perf_counter()
            for user, assistant, at in said[start : start + tenth]:
                memory.add_memory(user, assistant, at)
            memory.flush()
            figures[f"per_page_ms_at_{start + tenth}"] = (time.perf_counter() - started) / tenth * 1e3
        stats = memory.get_memory_stats()
    growth = figures[f"per_page_ms_at_{tenth * 10}"] / figures[f"per_page_ms_at_{tenth}"]
    print(json.dumps(figures | {"growth": growth, "stats": stats, "peak_megabytes": peak_megabytes()}))


if __name__ == "__main__":
    main()
