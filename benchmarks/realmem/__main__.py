"""RealMem without an LLM: ``python -m benchmarks.realmem`` reports how many of the needed facts each context shows.

A question's score is the share of its facts that are shown. A fact is shown if 60% of its content words occur in one
shown knowledge entry, or in what is shown of one page. Questions are asked in the stream: each before its own turn is
stored. The short-term window is off, in every row. The row "no memory" has an empty context; it scores the words of the
question itself. Nothing is fitted, so no persona is left out.

With ``--readings recorded``, the facts are the memories of the data file instead of those of the local analyst.
``--against`` adds the paired difference to another checkout (its folder ``src``) or to an earlier report (a JSON file).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evidence import print_table
from benchmarks.realmem import contexts
from benchmarks.realmem.clustered import clustered_interval
from benchmarks.realmem.contexts import MEMORYOS, Context, read_contexts
from benchmarks.realmem.stream import Question, read_personas
from memoryos.doors.bench.word_coverage import is_shown
from memoryos.seams import Embedder

ROOT = Path(__file__).parents[2]
OTHER_PROGRAM = "import sys; from benchmarks.realmem.contexts import main; sys.exit(main(sys.argv[1:]))"

Report = dict[str, Any]


def main(arguments: Sequence[str] | None = None, embedder: Embedder | None = None) -> int:
    """Measures, prints the tables and writes the report with the score of every question.

    Args:
        arguments: Arguments of the command; default: those of the process.
        embedder: Embedder of this checkout; default: the one that it uses by default.
    """
    options = _options(arguments)
    asked = {
        each.question_id: (persona.name, each)
        for persona in read_personas(options.data)
        for exchange in persona.exchanges
        for each in exchange.questions
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contexts.jsonl"
        readings = contexts.measure([*_passed_on(options, options.rows), "--out", str(file)], embedder)
        report = score(asked, read_contexts(file)) | {"readings": readings}
        if options.against is not None:
            report["against"] = str(options.against)
            other = _other(options, asked, Path(folder))
            report["difference"] = compare(report["questions"], other["questions"])
    report["command"] = " ".join(["python -m benchmarks.realmem", *(sys.argv[1:] if arguments is None else arguments)])
    show(report)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0


def score(asked: dict[str, tuple[str, Question]], found: Sequence[Context]) -> Report:
    """Returns the score of each question, and by row the means with intervals and the mean size of the contexts."""
    questions: dict[str, Any] = {}
    for context in found:
        persona, question = asked[context.question_id]
        line = questions.setdefault(
            question.question_id,
            {"persona": persona, "session": question.session_id, "category": question.category, "scores": {}},
        )
        line["scores"].setdefault(context.row, {})[_column(context)] = shown_share(question, context)
    rows = dict.fromkeys(each.row for each in found)
    return {
        "rows": {
            row: {
                "facts_shown": _tabulate(
                    {name: each | {"cells": each["scores"][row]} for name, each in questions.items()}
                ),
                "context_tokens": _mean_tokens([each for each in found if each.row == row]),
            }
            for row in rows
        },
        "questions": questions,
    }


def shown_share(question: Question, context: Context) -> float:
    """Returns the share of the question's facts that the context shows."""
    pieces = (*context.facts, *context.pages)
    return sum(is_shown(fact, pieces) for fact in question.facts) / len(question.facts)


def compare(here: dict[str, Any], there: dict[str, Any]) -> Report:
    """Returns by group the mean difference (here - there) of the row "memoryos" over the questions of both reports."""
    paired: dict[str, Any] = {}
    for name, line in here.items():
        if name in there and MEMORYOS in line["scores"] and MEMORYOS in there[name]["scores"]:
            ours, theirs = line["scores"][MEMORYOS], there[name]["scores"][MEMORYOS]
            paired[name] = line | {"cells": {each: ours[each] - theirs[each] for each in ours if each in theirs}}
    if not paired:
        raise SystemExit("the two measurements have no question in common")
    return _tabulate(paired)


def show(report: Report) -> None:
    """Prints who extracted the facts, one table per row, and the differences."""
    sys.stdout.write(json.dumps(report["readings"]) + "\n")
    for name, row in report["rows"].items():
        sizes = ", ".join(f"{tokens:,.0f} at {column}" for column, tokens in row["context_tokens"].items())
        print_table(f"{name}: share of the facts shown; mean tokens of a context: {sizes}", row["facts_shown"])
    if "difference" in report:
        print_table(f"memoryos minus {report['against']}, paired", report["difference"])


def _tabulate(questions: dict[str, Any]) -> Report:
    """Returns for all questions, each category and each persona the mean of each cell with its interval."""
    lines = list(questions.values())
    groups = {"all": lines}
    for field in ("category", "persona"):
        for value in dict.fromkeys(line[field] for line in lines):
            groups[value] = [line for line in lines if line[field] == value]
    return {
        group: {
            column: clustered_interval(
                np.array([line["cells"][column] for line in members]),
                [f"{line['persona']}/{line['session']}" for line in members],
            )
            for column in members[0]["cells"]
        }
        for group, members in groups.items()
    }


def _column(context: Context) -> str:
    return f"{context.max_tokens} tokens"


def _mean_tokens(found: Sequence[Context]) -> dict[str, float]:
    columns = dict.fromkeys(map(_column, found))
    return {column: float(np.mean([each.tokens for each in found if _column(each) == column])) for column in columns}


def _other(options: argparse.Namespace, asked: dict[str, tuple[str, Question]], folder: Path) -> Report:
    """Returns the report to compare with: that of a file, or that of another checkout."""
    if options.against.is_file():
        report: Report = json.loads(options.against.read_text(encoding="utf-8"))
        return report
    source = options.against.absolute()
    if not (source / "memoryos" / "__init__.py").is_file():
        raise SystemExit(f"--against: {source} is neither a report nor a folder with the package memoryos")
    file = folder / "other.jsonl"
    passed_on = [*_passed_on(options, [MEMORYOS]), "--out", str(file)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(source), str(ROOT)])}
    subprocess.run([sys.executable, "-c", OTHER_PROGRAM, *passed_on], env=environment, cwd=ROOT, check=True)  # noqa: S603  (our own interpreter)
    return score(asked, read_contexts(file))


def _passed_on(options: argparse.Namespace, rows: Sequence[str]) -> list[str]:
    chosen = ["--data", str(options.data.absolute()), "--tokens", *map(str, options.tokens), "--rows", *rows]
    for name in ("personas", "limit", "readings"):
        value = getattr(options, name)
        chosen += [] if value is None else [f"--{name}", str(value)]
    return chosen


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    contexts.add_options(parser)
    parser.add_argument("--against", type=Path, help="folder src of another checkout, or a report to compare with")
    parser.add_argument("--out", type=Path, help="file for the report")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
