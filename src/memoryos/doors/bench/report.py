"""Writes the report of ``memoryos bench``: an HTML file with tables. The file loads nothing from the network."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ReportHeader", "to_html"]

COUNTED_LIMIT = "1000 tokens"
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: .5rem 0 1.5rem; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid; }
th:first-child { text-align: left; }
td small { display: block; white-space: nowrap; }
"""


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """Information about a benchmark run, for the header of its report.

    Attributes:
        file: Name of the data file.
        version: Version of MemoryOS.
        embedder: Name of the embedding model.
        command: Shell command that repeats the run.
    """

    file: str
    version: str
    embedder: str
    command: str


def to_html(report: Mapping[str, Any], header: ReportHeader) -> str:
    """Converts the result of ``locomo_run.run`` to an HTML page with tables."""
    recall, ingest, whole = report["recall"], report["ingest"], report["whole_context"]
    questions = recall["memoryos"].get("all", {}).get(COUNTED_LIMIT, {}).get("questions", 0)
    title = f"MemoryOS on {escape(header.file)}"
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style>",
        f"<h1>{title}</h1>",
        "<p>Evidence recall: the share of a question's evidence that the context contains, by the token budget of the "
        f"context. {questions} questions of categories 1 to 4, {ingest['pages']} pages, no LLM. Brackets are 95% "
        "bootstrap intervals over the questions. All tables search one store, each with different settings.</p>",
        *(_recall_table(name, table) for name, table in recall.items()),
        _recall_table(
            "Whole context including window, knowledge and profile "
            f"({whole['tokens_at_1000']:.0f} tokens at a budget of 1,000)",
            whole["recall"],
        ),
        _ingest_table(ingest),
        f"<p>MemoryOS {escape(header.version)}, embedder {escape(header.embedder)}. Command: "
        f"<code>{escape(header.command)}</code></p></html>",
    ]
    return "\n".join(parts) + "\n"


def _recall_table(name: str, table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    columns = list(next(iter(table.values()), {}))
    rows = [
        f'<tr><th scope="row">{escape(group)} ({cells[columns[0]]["questions"]})</th>'
        + "".join(_cell(cells[column]) for column in columns)
        + "</tr>"
        for group, cells in table.items()
    ]
    return _html_table(name, ["", *columns], rows)


def _cell(cell: Mapping[str, float]) -> str:
    return f"<td>{cell['mean']:.3f}<small>[{cell['low']:.3f}, {cell['high']:.3f}]</small></td>"


def _ingest_table(ingest: Mapping[str, Any]) -> str:
    values = {
        "pages": f"{ingest['pages']}",
        "every page stored once, in order and in the right tier": "yes" if ingest["conserved"] else "no",
        "segments": f"{ingest['segments']}",
        "facts": f"{ingest['knowledge']}",
        "traits": f"{ingest['traits']}",
        "seconds to append all pages": f"{ingest['add_seconds']:.2f}",
        "seconds to embed and consolidate all pages": f"{ingest['consolidate_seconds']:.1f}",
        "median recall time": f"{ingest['recall_p50_ms']:.1f} ms",
    }
    rows = [f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in values.items()]
    return _html_table("Ingestion on this machine", ["", ""], rows)


def _html_table(caption: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{''.join(rows)}</table>"
