"""Evidence recall of the benchmarks: the measurement of ``memoryos bench``, with tables and charts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from memoryos.doors.bench.evidence import (
    BUDGETS,
    ROWS,
    Probe,
    interval,
    limits,
    measure,
    measure_store,
    shown_ids,
    tabulate,
)
from memoryos.models.minilm import MiniLM
from memoryos.models.query_cache import QueryCache

__all__ = [
    "BUDGETS",
    "ROWS",
    "CachingEmbedder",
    "Probe",
    "draw",
    "interval",
    "limits",
    "measure",
    "measure_store",
    "peak_megabytes",
    "print_table",
    "shown_ids",
    "tabulate",
]


class CachingEmbedder(QueryCache):
    """The built-in embedder with a cache for queries."""

    def __init__(self) -> None:
        super().__init__(MiniLM(), capacity=10_000)


def print_table(title: str, table: dict[str, Any]) -> None:
    """Prints a table with one line per group and one column per limit."""
    columns = list(next(iter(table.values())))
    width = max(14, *(len(group) + 1 for group in table))
    sys.stdout.write(f"\n{title}\n{'':{width}}" + "".join(f"{column:>22}" for column in columns) + "\n")
    for group, cells in table.items():
        shown = [f"{cell['mean']:.3f} [{cell['low']:.3f},{cell['high']:.3f}]" for cell in cells.values()]
        sys.stdout.write(f"{group:{width}}" + "".join(f"{cell:>22}" for cell in shown) + "\n")


def peak_megabytes() -> float:
    """Returns the peak resident set of this process from ``/proc``, because ``getrusage`` includes the parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def draw(file: str, title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Draws recall over the token budget, one line per row, with intervals."""
    import matplotlib as mpl  # noqa: PLC0415  (an extra of the benchmarks)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4.2))
    for name, cells in rows.items():
        points = [cells[f"{budget} tokens"] for budget in BUDGETS]
        axes.plot(BUDGETS, [point["mean"] for point in points], marker="o", label=name)
        axes.fill_between(BUDGETS, [p["low"] for p in points], [p["high"] for p in points], alpha=0.15)
    axes.set(
        xscale="log",
        xticks=BUDGETS,
        xticklabels=[f"{budget:,}" for budget in BUDGETS],
        ylim=(0, 1),
        xlabel="tokens of recalled pages",
        ylabel="evidence recall",
        title=title,
    )
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(file, dpi=130)
    plt.close(figure)
