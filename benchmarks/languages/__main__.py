"""Evidence recall by language: ``python -m benchmarks.languages``, and GVD in English and Chinese.

``--set held-out`` measures only the second set of dialogues; use it to verify a change, not to develop one. A page counts
as found when 60% of the content words of a side with the answer are shown from it. Each question is asked at its own time, and the short-term window is off,
so that all pages must be found by the search.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.evidence import ROWS, CachingEmbedder, Probe, measure_store, print_table, tabulate
from benchmarks.gvd.__main__ import LANGUAGES as GVD_LANGUAGES
from benchmarks.gvd.__main__ import ingest as ingest_gvd
from benchmarks.gvd.__main__ import read_gvd, settings
from benchmarks.languages.dialogues import DATA, KINDS, LANGUAGES, SETS, Dialogue, read_dialogue
from memoryos.assembly import build_embedder
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.language.text import estimate_tokens
from memoryos.seams import Embedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDES = ("user", "assistant")
COLUMNS = ("500 tokens", "1000 tokens")
MEASURED = ("words only (BM25)", "plain embedding", "memoryos")
"""The rows of each table: words alone, meaning alone, and both with all the other signals."""


def main() -> None:
    """Runs the benchmark, writes the report of the set, and prints its tables (with ``--json``, the report)."""
    arguments = _arguments()
    name = arguments.embedding_model
    embedder: Embedder = CachingEmbedder() if name is None else build_embedder(Config(embedding_model_name=name))
    command = " ".join(["python -m benchmarks.languages", *sys.argv[1:]])
    report: dict[str, Any] = {"command": command, "embedder": embedder.name, "set": arguments.set}
    folder = SETS[arguments.set]
    report["languages"] = {each: run(read_dialogue(each, folder), embedder) for each in arguments.languages}
    beside = GVD_LANGUAGES if folder == DATA and arguments.data.is_dir() else ()
    report["gvd"] = {each: run_gvd(arguments.data, each, embedder) for each in beside}
    text = json.dumps(report, indent=1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    parts = ["languages", *([] if folder == DATA else [arguments.set]), *([] if name is None else [Path(name).name])]
    (arguments.out / f"{'-'.join(parts)}.json").write_text(text, encoding="utf-8")
    if arguments.json:
        sys.stdout.write(f"{text}\n")
    else:
        show(report)


def run(dialogue: Dialogue, embedder: Embedder) -> dict[str, Any]:
    """Returns the figures of one language: its size, and recall by row, kind of question and budget."""
    with tempfile.TemporaryDirectory() as folder:
        remember(dialogue, Path(folder), embedder)
        recall = _recall_by_side(Path(folder), dialogue, embedder)
    groups = [each.kind for each in dialogue.questions]
    return {
        "pages": len(dialogue.pages),
        "tokens": round(sum(estimate_tokens(each.user) + estimate_tokens(each.assistant) for each in dialogue.pages)),
        "recall": {row: tabulate(values, groups, ("all", *KINDS)) for row, values in recall.items()},
    }


def run_gvd(data: Path, language: str, embedder: Embedder) -> dict[str, Any]:
    """Returns the same figures for GVD, without kinds of questions."""
    people, probes = read_gvd(data, language)
    with tempfile.TemporaryDirectory() as folder:
        end = ingest_gvd(people, Path(folder), embedder, window=0)
        recall = _recall(Path(folder), probes, [end] * len(probes), embedder)
    groups = [probe.group for probe in probes]
    exchanges = [each for person in people for day in person["history"].values() for each in day]
    return {
        "pages": len(exchanges),
        "tokens": round(sum(estimate_tokens(each["query"]) + estimate_tokens(each["response"]) for each in exchanges)),
        "recall": {row: tabulate(values, groups, ("all",)) for row, values in recall.items()},
    }


def remember(dialogue: Dialogue, folder: Path, embedder: Embedder) -> None:
    """Adds and consolidates all pages of a dialogue, with the ids of its sides as metadata."""
    end = dialogue.pages[-1].at
    with MemoryEngine(Config(**settings(folder, 0)), embedder=embedder, clock=lambda: end) as engine:
        memory = engine.memory(dialogue.language)
        for page in dialogue.pages:
            ids = {f"{side}_id": f"{page.page_id}/{side}" for side in SIDES}
            memory.add_memory(page.user, page.assistant, page.at, ids)
        memory.flush()


def show(report: dict[str, Any]) -> None:
    """Prints two tables per language: recall by row, and recall by kind of question."""
    for name, figures in _named(report):
        title = f"{name}: {figures['pages']} pages, {figures['tokens']:,} tokens"
        print_table(title, {row.partition(" (")[0]: table["all"] for row, table in figures["recall"].items()})
    for name, figures in _named(report):
        if len(figures["recall"]["memoryos"]) > 1:
            print_table(f"{name}, fused, by kind", figures["recall"]["memoryos"])


def _named(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [*report["languages"].items(), *((f"GVD {name}", figures) for name, figures in report["gvd"].items())]


def _recall_by_side(folder: Path, dialogue: Dialogue, embedder: Embedder) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Returns recall ``float64[questions]`` by row and budget; for the side "either", that of the better side."""
    asked = [
        (place, side)
        for place, each in enumerate(dialogue.questions)
        for side in SIDES
        if each.side in {side, "either"}
    ]
    questions = [dialogue.questions[place] for place, _ in asked]
    probes = [
        Probe(dialogue.language, each.text, frozenset(f"{page}/{side}" for page in each.evidence), each.kind)
        for each, (_, side) in zip(questions, asked, strict=True)
    ]
    measured = _recall(folder, probes, [each.asked_at for each in questions], embedder)
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for row, columns in measured.items():
        found[row] = {column: np.zeros(len(dialogue.questions)) for column in columns}
        for column, values in columns.items():
            np.maximum.at(found[row][column], [place for place, _ in asked], values)
    return found


def _recall(
    folder: Path, probes: Sequence[Probe], times: Sequence[datetime], embedder: Embedder
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Returns recall ``float64[probes]`` by row and budget; each question is asked at its time."""
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for row in MEASURED:
        config = ROWS[row](**settings(folder, 0))
        values = {column: np.zeros(len(probes)) for column in COLUMNS}
        for time in sorted(set(times)):
            asked = [place for place, each in enumerate(times) if each == time]
            measured, _ = measure_store(config, [probes[each] for each in asked], embedder, time, columns=COLUMNS)
            for column, part in measured.items():
                values[column][asked] = part
        found[row] = values
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES, help="languages to measure (default: all six)"
    )
    parser.add_argument("--set", choices=SETS, default="first", help="set of dialogues (default: first)")
    parser.add_argument("--embedding-model", help="name of another embedder, for example multilingual-e5-small")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with gvd-dev-en.json and gvd-dev-zh.json"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--json", action="store_true", help="print the report instead of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
