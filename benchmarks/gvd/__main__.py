"""GVD in English and Chinese: ``python -m benchmarks.gvd`` reports evidence recall on user–assistant dialogue.

A page counts as found when 60% of the content words of the side with the answer are shown from it; if both sides contain
parts of the answer, of the user's side.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from benchmarks.evidence import ROWS, CachingEmbedder, Probe, draw, measure_store, print_table, tabulate
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.seams import Embedder

LANGUAGES = ("en", "zh")


def main() -> None:
    """Runs the benchmark for each language and writes ``gvd.json`` and one chart per language."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    embedder = CachingEmbedder()
    report: dict[str, Any] = {"command": "python -m benchmarks.gvd " + " ".join(sys.argv[1:])}
    for language in LANGUAGES:
        people, probes = read_gvd(arguments.data, language)
        with tempfile.TemporaryDirectory() as folder:
            report[language] = run(people, probes, Path(folder), embedder)
        for name, row in report[language]["recall"].items():
            print_table(f"GVD {language}, {name}", row)
        print_table(f"GVD {language}, whole contexts", report[language]["whole_context"]["recall"])
        rows = {name: row["all"] for name, row in report[language]["recall"].items()}
        draw(str(arguments.out / f"gvd-{language}.png"), f"GVD, {language}, no LLM", rows)
    (arguments.out / "gvd.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def read_gvd(folder: Path, language: str) -> tuple[list[dict[str, Any]], list[Probe]]:
    """Returns the dialogues of one language and their labelled questions."""
    people = json.loads((folder / f"gvd-dev-{language}.json").read_text(encoding="utf-8"))
    labels = json.loads((Path(__file__).parent / f"labels-{language}.json").read_text(encoding="utf-8"))["labels"]
    return people, read_probes(people, labels)


def run(people: list[dict[str, Any]], probes: list[Probe], folder: Path, embedder: CachingEmbedder) -> dict[str, Any]:
    """Returns the report of the given dialogues."""
    end = ingest(people, folder / "whole", embedder, window=0)
    ingest(people, folder / "window", embedder, window=7)
    groups = [probe.group for probe in probes]
    report: dict[str, Any] = {"recall": {}}
    for name, make_config in ROWS.items():
        values, _ = measure_store(make_config(**settings(folder / "whole", 0)), probes, embedder, end)
        report["recall"][name] = tabulate(values, groups, ("all", "user", "assistant", "both"))
    config = Config(**settings(folder / "window", 7))
    values, tokens = measure_store(config, probes, embedder, end, with_window=True)
    report["whole_context"] = {"recall": tabulate(values, groups, ("all",)), "tokens_at_1000": tokens}
    return report


def ingest(people: list[dict[str, Any]], folder: Path, embedder: Embedder, *, window: int) -> datetime:
    """Adds and consolidates all dialogues; returns the day after the last page, when the questions are asked."""
    end = max(_time(date) for person in people for date in person["history"]) + timedelta(days=1)
    with MemoryEngine(Config(**settings(folder, window)), embedder=embedder, clock=lambda: end) as engine:
        for person in people:
            memory = engine.memory(person["user"])
            for date, exchanges in person["history"].items():
                for index, each in enumerate(exchanges):
                    ids = {f"{side}_id": f"{date}/{index}/{side}" for side in ("user", "assistant")}
                    memory.add_memory(each["query"], each["response"], _time(date), ids)
            memory.flush()
    return end


def read_probes(people: list[dict[str, Any]], labels: list[dict[str, Any]]) -> list[Probe]:
    """Returns the labelled questions that have evidence."""
    questions = {person["user"]: [each["question"].strip('"') for each in person["questions"]] for person in people}
    return [
        Probe(
            memory=label["user"],
            text=questions[label["user"]][label["question_index"]],
            evidence=frozenset(
                f"{date}/{index}/{'assistant' if label['side'] == 'assistant' else 'user'}"
                for date, index in label["evidence"]
            ),
            group=label["side"],
        )
        for label in labels
        if label["evidence"]
    ]


def _time(date: str) -> datetime:
    return datetime.fromisoformat(date).replace(hour=12, tzinfo=timezone.utc)


def settings(folder: Path, window: int) -> dict[str, Any]:
    """Returns the settings of the engines of this benchmark."""
    return {"data_storage_path": folder, "short_term_capacity": window, "background": False}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with gvd-dev-en.json and gvd-dev-zh.json"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
