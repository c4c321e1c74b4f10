"""What a scope that does not fit finds of what it would find if it fitted: ``python -m benchmarks.scale.agreement``.

Real sentences and the built-in embedder: every utterance of LoCoMo and of GVD in English once, and then utterances of
two or three sentences drawn from all of them, until the scope has its pages. LoCoMo's questions are asked of both.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gvd.__main__ import read_gvd
from benchmarks.scale.synthetic import fill
from memoryos import Config, MemoryEngine
from memoryos.doors.locomo import read_locomo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from memoryos.memory import Memory

TOP = 20
LEAST_AGREEMENT = 0.98
ROOM = 4 << 30
NO_ROOM = 1 << 20
USER = "huge"


def main() -> None:
    """Fills one scope, asks it with room for its vectors and without, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="Where LoCoMo and GVD are.")
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=200)
    arguments = parser.parse_args()
    conversations = read_locomo(arguments.data / "locomo-dev.json")
    told = [text for each in conversations for page in each.exchanges for text in (page.user_text, page.assistant_text)]
    people, _ = read_gvd(arguments.data, "en")
    days = [day for person in people for day in person["history"].values()]
    told += [text for day in days for each in day for text in (each["query"], each["response"])]
    asked = [each.text for conversation in conversations for each in conversation.questions]
    queries = random.Random(4).sample(asked, min(arguments.questions, len(asked)))
    with tempfile.TemporaryDirectory() as folder:
        with MemoryEngine(_config(folder, ROOM)) as engine:
            fill(engine, USER, arguments.pages, _drawn([text for text in told if text]))
        with MemoryEngine(_config(folder, ROOM)) as exact, MemoryEngine(_config(folder, NO_ROOM)) as coded:
            print(json.dumps({"pages": arguments.pages} | compare(exact, coded, queries), indent=2))


def compare(exact: MemoryEngine, coded: MemoryEngine, queries: Sequence[str]) -> dict[str, Any]:
    """Returns how far the best 20 pages of both agree, how long both take, and what both hold in memory."""
    figures: dict[str, Any] = {}
    found: list[list[list[str]]] = []
    for name, engine in (("exact", exact), ("coded", coded)):
        memory = engine.memory(USER)
        first = _seconds(memory, queries[0])[0]
        rounds = [_seconds(memory, query) for query in queries]
        found.append([ids for _, ids in rounds])
        times = [seconds * 1000 for seconds, _ in rounds]
        figures[name] = {
            "first_recall_seconds": round(first, 2),
            "recall_p50_ms": round(statistics.median(times), 1),
            "recall_worst_ms": round(max(times), 1),
            "working_set_bytes": engine.working_sets.nbytes,
        }
    shares = [len({*one} & {*other}) / len(one) for one, other in zip(*found, strict=True) if one]
    return figures | {
        "agreement": round(statistics.mean(shares), 4),
        "worst_agreement": round(min(shares), 2),
        "within_bounds": statistics.mean(shares) >= LEAST_AGREEMENT,
    }


def _seconds(memory: Memory, query: str) -> tuple[float, list[str]]:
    started = time.perf_counter()
    recall = memory.recall(query, max_pages=TOP)
    return time.perf_counter() - started, [each.page.page_id for each in recall.pages]


def _config(folder: str, max_bytes: int) -> Config:
    return Config(data_storage_path=folder, background=False, working_set_max_bytes=max_bytes)


def _drawn(told: Sequence[str]) -> Iterator[tuple[str, str]]:
    chance = random.Random(1)
    yield from zip(told[::2], told[1::2], strict=False)
    sentences = [each for text in told for each in re.split(r"(?<=[.!?])\s+", text) if each]
    while True:
        user, assistant = (" ".join(chance.sample(sentences, chance.choice((2, 2, 3)))) for _ in range(2))
        yield user, assistant


if __name__ == "__main__":
    main()
