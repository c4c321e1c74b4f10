"""Import and consolidation, compared with a second checkout: ``python -m benchmarks.embedder.importing --against FOLDER``.

Both checkouts import the same pages in turns, each in its own process. The figures are processor time, because other
programs on the machine disturb it less than elapsed time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle, islice, pairwise
from pathlib import Path

from benchmarks.micro.dialogue import START, exchanges

PAGES_A_SESSION = 10
SEED = 5
MEAN_SENTENCES = 1.9
"""Sentences of a text: a mean of 1.9 gives the mean length of a turn in LoCoMo, 126 characters."""
SCRIPT = """
import json, sys, time
from pathlib import Path
from memoryos import Config, MemoryEngine
with MemoryEngine(Config(data_storage_path=Path(sys.argv[2]), background=False)) as engine:
    memory = engine.memory("user")
    started = time.process_time()
    loaded = memory.load(Path(sys.argv[1]))
    memory.flush()
    print(json.dumps({"pages": loaded.pages, "seconds": time.process_time() - started}))
"""


def main() -> None:
    """Prints the processor time of each run and the ratio of the medians."""
    arguments = _arguments()
    times: dict[str, list[float]] = {"this": [], "other": []}
    folders = {"this": Path(__file__).parents[2], "other": arguments.against}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "dialogue.json"
        texts = list(_locomo(arguments.data) if arguments.data else _synthetic(arguments.pages))
        file.write_text(json.dumps(list(_messages(texts, arguments.pages))), encoding="utf-8")
        for turn in range(arguments.rounds):
            for name, folder in folders.items():
                seconds = _run(folder, file, Path(scratch) / f"{name}-{turn}", arguments.pages)
                times[name].append(seconds)
                print(f"{name}: {seconds:.1f} s", flush=True)
    this, other = (statistics.median(times[name]) for name in ("this", "other"))
    print(f"{arguments.pages} pages: this {this:.1f} s, other {other:.1f} s, this is {other / this:.2f} times as fast")


def _run(checkout: Path, file: Path, store: Path, pages: int) -> float:
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    command = [sys.executable, "-c", SCRIPT, str(file), str(store)]
    done = subprocess.run(  # noqa: S603  (the command is built above)
        command, env=environment, capture_output=True, text=True, check=True
    )
    figures = json.loads(done.stdout)
    assert figures["pages"] == pages
    return float(figures["seconds"])


def _messages(texts: list[str], pages: int) -> Iterator[dict[str, str]]:
    """Yields two messages per page, in sessions of ten pages on different days; repeats the texts if necessary."""
    for number, text in enumerate(islice(cycle(texts), 2 * pages)):
        page = number // 2
        at = START + timedelta(days=page // PAGES_A_SESSION, minutes=page % PAGES_A_SESSION)
        yield {"role": "assistant" if number % 2 else "user", "content": text, "timestamp": at.isoformat()}


def _synthetic(pages: int) -> Iterator[str]:
    chooser = random.Random(SEED)
    sentences = [text for user, assistant, _ in exchanges(2 * pages) for text in (user, assistant)]
    starts = [0]
    while starts[-1] < len(sentences):
        starts.append(starts[-1] + 1 + int(chooser.expovariate(1 / (MEAN_SENTENCES - 1))))
    for start, end in pairwise(starts):
        yield " ".join(sentences[start:end])


def _locomo(file: Path) -> Iterator[str]:
    for dialogue in json.loads(file.read_text(encoding="utf-8")):
        for turns in dialogue["conversation"].values():
            if isinstance(turns, list):
                yield from (turn["text"] for turn in turns)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, required=True, help="folder of the other checkout")
    parser.add_argument("--data", type=Path, help="locomo10.json or a part of it; default: synthetic texts")
    parser.add_argument("--pages", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
