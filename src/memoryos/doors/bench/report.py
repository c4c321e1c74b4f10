"""The report of ``memoryos bench``: one HTML file with its charts in it, which needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from memoryos.doors.bench.charts import bars, lines
from memoryos.doors.bench.evidence import BUDGETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["About", "to_html"]

COLUMNS = tuple(f"{budget} tokens" for budget in BUDGETS)
MIDDLE = "1000 tokens"
STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1d2430, #e6e9ef); --faint: light-dark(#667085, #98a2b3);
  --rule: light-dark(#d8dde6, #3a4352); --paper: light-dark(#ffffff, #14181f);
  --c0: light-dark(#0b66c3, #6cb2ff); --c1: light-dark(#b54708, #f7a35c); --c2: light-dark(#027a48, #53c796);
  --c3: light-dark(#6941c6, #b79bf2); --c4: light-dark(#667085, #98a2b3); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--paper); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: .5rem 0 1.5rem; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); }
th:first-child { text-align: left; } td small { color: var(--faint); display: block; white-space: nowrap; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .rule { stroke: var(--rule); } .faint { color: var(--faint); } .wide { overflow-x: auto; }
"""


@dataclass(frozen=True, slots=True)
class About:
    """What a report is about.

    Attributes:
        file: Name of the data file.
        version: Of MemoryOS.
        embedder: Name of the model.
        command: How to make it again.
    """

    file: str
    version: str
    embedder: str
    command: str


def to_html(report: Mapping[str, Any], about: About) -> str:
    """Returns the report of ``locomo_run.run`` as a page of HTML: two charts, and every number in tables."""
    recall, ingest = report["recall"], report["ingest"]
    groups = list(recall["memoryos"])
    budgets = {name: [row["all"][column] for column in COLUMNS] for name, row in recall.items() if "all" in row}
    by_group = {name: [row[group][MIDDLE]["mean"] for group in groups] for name, row in recall.items()}
    asked = recall["memoryos"].get("all", {}).get(MIDDLE, {}).get("questions", 0)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>MemoryOS on {escape(about.file)}</title><style>{STYLE}</style>",
        f"<h1>MemoryOS on {escape(about.file)}</h1>",
        f"<p>Evidence recall: the share of what answers a question that is inside a context of so many tokens. "
        f"{asked} questions of categories 1 to 4, {ingest['pages']} pages, no LLM; brackets are 95% bootstrap "
        "intervals over the questions. The rows are one program under other settings, over one store.</p>",
        lines("Recall by tokens of the recalled pages", BUDGETS, budgets) if budgets else "",
        bars(f"Recall at {MIDDLE}, by category", groups, by_group),
        *(_table(name, table) for name, table in recall.items()),
        _table(
            "whole contexts: window, knowledge and profile besides "
            f"({report['whole_context']['tokens_at_1000']:.0f} tokens at the budget of 1,000)",
            report["whole_context"]["recall"],
        ),
        _ingest(ingest),
        f'<p class="faint">MemoryOS {escape(about.version)}, embedder {escape(about.embedder)}. Made by '
        f"<code>{escape(about.command)}</code>.</p></html>",
    ]
    return "\n".join(each for each in parts if each) + "\n"


def _table(name: str, table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    columns = list(next(iter(table.values()), {}))
    rows = [
        f'<tr><th scope="row">{escape(group)} <span class="faint">({cells[columns[0]]["questions"]})</span></th>'
        + "".join(_cell(cells[column]) for column in columns)
        + "</tr>"
        for group, cells in table.items()
    ]
    return _frame(name, ["", *columns], rows)


def _cell(cell: Mapping[str, float]) -> str:
    return f"<td>{cell['mean']:.3f}<small>[{cell['low']:.3f}, {cell['high']:.3f}]</small></td>"


def _ingest(ingest: Mapping[str, Any]) -> str:
    shown = {
        "pages": f"{ingest['pages']}",
        "every page in its place": "yes" if ingest["conserved"] else "no",
        "segments": f"{ingest['segments']}",
        "facts": f"{ingest['knowledge']}",
        "traits": f"{ingest['traits']}",
        "seconds to add all": f"{ingest['add_seconds']:.2f}",
        "seconds to embed and consolidate all": f"{ingest['consolidate_seconds']:.1f}",
        "median recall": f"{ingest['recall_p50_ms']:.1f} ms",
    }
    rows = [f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in shown.items()]
    return _frame("what it took on this machine", ["", ""], rows)


def _frame(caption: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in columns)
    return f'<div class="wide"><table><caption>{escape(caption)}</caption><tr>{head}</tr>{"".join(rows)}</table></div>'
