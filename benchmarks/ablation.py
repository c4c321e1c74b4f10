"""Measures how much each ranking signal contributes to recall: ``python -m benchmarks.ablation``.

The benchmark switches off one signal at a time. It reports the mean difference per question with a 95% bootstrap
interval.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.evidence import CachingEmbedder, Probe, interval, measure_store
from benchmarks.gvd import __main__ as gvd
from benchmarks.locomo import __main__ as locomo
from memoryos.config import Config, RankingWeights
from memoryos.doors.locomo import CATEGORIES, read_locomo

COLUMNS = ("500 tokens", "1000 tokens")
VARIANTS: dict[str, dict[str, float]] = {
    "all signals": {},
    **{
        f"without {name}": {name: 0.0}
        for name in ("meaning", "words", "previous", "following", "speaker", "session", "time")
    },
    "without neighbours": {"previous": 0.0, "following": 0.0},
}


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A data set that is stored in a database.

    Attributes:
        folder: Folder of the database.
        probes: The questions, with the pages that contain their answers.
        end: Time at which the questions are asked.
    """

    folder: Path
    probes: list[Probe]
    end: datetime


def main() -> None:
    """Prints one line for each variant of the ranking, and writes ``ablation.json``."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    embedder = CachingEmbedder()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, dialogue in _dialogues(arguments.data, Path(folder), embedder).items():
            report[name] = _ablate(name, dialogue, embedder)
    (arguments.out / "ablation.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def _dialogues(data: Path, folder: Path, embedder: CachingEmbedder) -> dict[str, Dialogue]:
    conversations = read_locomo(data / "locomo-dev.json")
    end = max(each.exchanges[-1].at for each in conversations) + timedelta(days=1)
    locomo.ingest(conversations, folder / "locomo", embedder, end, window=0)
    probes = [probe for probe in locomo.read_probes(conversations) if probe.group != CATEGORIES[5]]
    found = {"LoCoMo": Dialogue(folder / "locomo", probes, end)}
    for language in gvd.LANGUAGES:
        people, probes = gvd.read_gvd(data, language)
        end = gvd.ingest(people, folder / language, embedder, window=0)
        found[f"GVD {language}"] = Dialogue(folder / language, probes, end)
    return found


def _ablate(name: str, dialogue: Dialogue, embedder: CachingEmbedder) -> dict[str, Any]:
    table: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    for variant, weights in VARIANTS.items():
        config = Config(**gvd.settings(dialogue.folder, 0), ranking=RankingWeights(**weights))
        values, _ = measure_store(config, dialogue.probes, embedder, dialogue.end, columns=COLUMNS)
        whole = whole or values
        table[variant] = {
            column: interval(values[column] - whole[column] if weights else values[column]) for column in COLUMNS
        }
        cells = [f"{each['mean']:+.3f} [{each['low']:+.3f},{each['high']:+.3f}]" for each in table[variant].values()]
        print(f"{name:8} {variant:28}" + "".join(f"{cell:>26}" for cell in cells))
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the evaluation data")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
