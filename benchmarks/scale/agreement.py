"""Compares recalls with quantised and with exact vectors: ``python -m benchmarks.scale.agreement``.

The texts are all utterances of the data sets LoCoMo and GVD (English), and further texts that combine two or three random
sentences of them, until the memory is full. The queries are LoCoMo's questions. The built-in embedder is used.
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
EXACT_BYTES = 4 << 30
QUANTISED_BYTES = 1 << 20
USER = "huge"


def main() -> None:
    """Fills one memory, queries it with exact and with quantised vectors, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="Folder with LoCoMo and GVD.")
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=200)
    arguments = parser.parse_args()
    conversations = read_locomo(arguments.data / "locomo-dev.json")
    texts = [
        text for each in conversations for page in each.exchanges for text in (page.user_text, page.assistant_text)
    ]
    people, _ = read_gvd(arguments.data, "en")
    days = [day for person in people for day in person["history"].values()]
    texts += [text for day in days for each in day for text in (each["query"], each["response"])]
    asked = [each.text for conversation in conversations for each in conversation.questions]
    queries = random.Random(4).sample(asked, min(arguments.questions, len(asked)))
    with tempfile.TemporaryDirectory() as folder:
        with MemoryEngine(_config(folder, EXACT_BYTES)) as engine:
            fill(engine, USER, arguments.pages, _drawn([text for text in texts if text]))
        with (
            MemoryEngine(_config(folder, EXACT_BYTES)) as exact,
            MemoryEngine(_config(folder, QUANTISED_BYTES)) as coded,
        ):
            print(json.dumps({"pages": arguments.pages} | compare(exact, coded, queries), indent=2))


def compare(exact: MemoryEngine, coded: MemoryEngine, queries: Sequence[str]) -> dict[str, Any]:
    """Returns how many of the best 20 pages are equal, and the time and memory use with both kinds of vectors."""
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


def _drawn(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    chance = random.Random(1)
    yield from zip(texts[::2], texts[1::2], strict=False)
    sentences = [each for text in texts for each in re.split(r"(?<=[.!?])\s+", text) if each]
    while True:
        user, assistant = (" ".join(chance.sample(sentences, chance.choice((2, 2, 3)))) for _ in range(2))
        yield user, assistant


if __name__ == "__main__":
    main()
