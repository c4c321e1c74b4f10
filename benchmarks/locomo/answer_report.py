"""Reads and scores files of answers, and prints tables by row and category."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evidence import interval, print_table
from benchmarks.locomo.__main__ import HEADLINE
from benchmarks.locomo.contexts import Case
from benchmarks.locomo.scoring import ADVERSARIAL, score
from memoryos.analysts.citing import CitationReader
from memoryos.doors.locomo import CATEGORIES
from memoryos.retrieval.recall import Recall

COSTS = ("context_tokens", "prompt_tokens", "completion_tokens", "calls", "seconds")

Line = dict[str, Any]


def read_lines(file: Path) -> Iterator[Line]:
    """Yields the lines with an id and an answer, and reports the invalid lines on standard error."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SystemExit(f"{file} can't be read: {error}") from error
    for number, raw in enumerate(content.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            line = None
        fault = _fault(line)
        if fault:
            sys.stderr.write(f"{file}:{number}: {fault}; the line is skipped\n")
        else:
            yield line


def report(cases: Sequence[Case], lines: dict[str, Line]) -> Line:
    """Returns, for each row, the scores of each category with intervals, and the mean costs of an answer."""
    rows = dict.fromkeys(case.row for case in cases)
    return {"rows": {row: _row([each for each in cases if each.row == row], lines) for row in rows}}


def finish(report: Line, file: Path) -> None:
    """Prints the tables and writes the report."""
    for name, row in report["rows"].items():
        if row["scores"]:
            print_table(f"{name}: answers, {row['missing']} of {row['questions']} missing", row["scores"])
        else:
            sys.stdout.write(f"\n{name}: {row['missing']} of {row['questions']} missing\n")
        _print_costs("costs per answer", row["per_answer"])
    if report.get("writing"):
        _print_costs(
            f"consolidation costs per page by {report['writing']['written_by']}", report["writing"]["per_page"]
        )
    report["command"] = "python -m benchmarks.locomo.answers " + " ".join(sys.argv[1:])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")


def _fault(line: Any) -> str:
    if not isinstance(line, dict):
        return "not a JSON object"
    if not isinstance(line.get("id"), str):
        return '"id" is missing or not a string'
    return "" if isinstance(_answer_of(line), str) else '"answer" (or "prediction") is missing or not a string'


def _answer_of(line: Line) -> Any:
    return line.get("answer", line.get("prediction"))


def _row(cases: Sequence[Case], lines: dict[str, Line]) -> Line:
    answered = [(case, lines[case.id]) for case in cases if case.id in lines]
    costs = {name: [line[name] for _, line in answered if isinstance(line.get(name), int | float)] for name in COSTS}
    return {
        "questions": len(cases),
        "missing": len(cases) - len(answered),
        "scores": _table([(case.question.category, _scores(case, line)) for case, line in answered]),
        "per_answer": {name: float(np.mean(values)) for name, values in costs.items() if values},
    }


def _table(scored: Sequence[tuple[int, dict[str, float]]]) -> Line:
    groups = {group: [each for category, each in scored if _belongs(category, group)] for group in HEADLINE}
    groups[CATEGORIES[ADVERSARIAL]] = [
        {"f1_locomo": each["f1_locomo"]} for category, each in scored if category == ADVERSARIAL
    ]
    return {group: _cells(scores) for group, scores in groups.items() if scores}


def _belongs(category: int, group: str) -> bool:
    return category != ADVERSARIAL and group in {"all", CATEGORIES[category]}


def _scores(case: Case, line: Line) -> dict[str, float]:
    """Returns the scores of an answer, after removing the cited page numbers."""
    answer = "".join(CitationReader(Recall("")).read([_answer_of(line)]))
    scores = asdict(score(answer, case.question.answer, case.question.category))
    return scores | ({"judge": float(line["judge"] == "CORRECT")} if "judge" in line else {})


def _cells(scores: Sequence[dict[str, float]]) -> Line:
    names = dict.fromkeys(name for each in scores for name in each)
    return {name: interval(np.array([each[name] for each in scores if name in each])) for name in names}


def _print_costs(what: str, costs: dict[str, float]) -> None:
    if costs:
        shown = ", ".join(f"{value:.2f} {name.replace('_', ' ')}" for name, value in costs.items())
        sys.stdout.write(f"{what}: {shown}\n")
