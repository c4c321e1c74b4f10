"""LoCoMo without an LLM: ``python -m benchmarks.locomo`` prints and draws the measurement of ``memoryos bench``.

With ``--readings recorded``, the facts are the observations of the data file instead of those of the local analyst.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.evidence import CachingEmbedder, draw, peak_megabytes, print_table
from benchmarks.locomo.observations import read_observations
from benchmarks.recorded import RecordedAnalyst
from memoryos.doors.bench.locomo_run import HEADLINE, add_exchange, add_exchanges, ingest, read_probes, run, settings
from memoryos.doors.locomo import read_locomo

LOCAL, RECORDED = READINGS = ("local", "recorded")

__all__ = ["HEADLINE", "add_exchange", "add_exchanges", "ingest", "main", "read_probes", "settings"]


def main() -> None:
    """Runs the benchmark and writes ``locomo.json`` and ``locomo.png``."""
    arguments = _arguments()
    conversations = read_locomo(arguments.data, captions=not arguments.no_captions)
    is_recorded = arguments.readings == RECORDED
    analyst = RecordedAnalyst(read_observations(arguments.data, conversations)) if is_recorded else None
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        report = run(conversations, Path(folder), CachingEmbedder(), analyst=analyst)
    report["readings"] = analyst.summary() if analyst else {"readings": LOCAL}
    sys.stdout.write(json.dumps(report["readings"]) + "\n")
    sys.stdout.write(json.dumps(report["ingest"]) + "\n")
    for name, table in report["recall"].items():
        print_table(f"{name}: evidence recall, window off", table)
    tokens = report["whole_context"]["tokens_at_1000"]
    print_table(
        f"whole contexts (window, knowledge and profile besides; {tokens:.0f} tokens at the 1000-token budget)",
        report["whole_context"]["recall"],
    )
    report["peak_megabytes"] = peak_megabytes()
    report["command"] = "python -m benchmarks.locomo " + " ".join(sys.argv[1:])
    (arguments.out / "locomo.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    draw(
        str(arguments.out / "locomo.png"),
        "LoCoMo, categories 1–4, no LLM",
        {name: row["all"] for name, row in report["recall"].items()},
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/locomo-dev.json"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--readings", choices=READINGS, default=LOCAL, help="origin of the facts (default: local)")
    parser.add_argument("--no-captions", action="store_true", help="omit the captions of shared photos")
    return parser.parse_args()


if __name__ == "__main__":
    main()
