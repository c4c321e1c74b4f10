"""Evidence recall: which share of what answers a question is in the context, with 95% bootstrap intervals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.config import Config, RankingWeights
from memoryos.engine import MemoryEngine
from memoryos.models.minilm import MiniLM

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from memoryos.memory import Memoryos
    from memoryos.retrieval.recall import Recall

BUDGETS = (250, 500, 1000, 2000, 4000)
PAGE_COUNTS = (5, 10)
RESAMPLES = 1000

NO_SIGNALS: dict[str, float] = dict.fromkeys(RankingWeights.model_fields, 0.0)
ROWS: dict[str, Callable[..., Config]] = {
    "memoryos": Config,
    "words only (BM25)": lambda **settings: Config(ranking=RankingWeights(**(NO_SIGNALS | {"words": 1.0})), **settings),
    "plain embedding": lambda **settings: Config(ranking=RankingWeights(**(NO_SIGNALS | {"meaning": 1.0})), **settings),
    "paper's gate": Config.paper,
}
"""The rows of a table: each is the shipped code under other settings, over the same store."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question with the ids that answer it; ``group`` is the line of the table that it counts into."""

    memory: str
    text: str
    evidence: frozenset[str]
    group: str


class CachingEmbedder(MiniLM):
    """MiniLM that embeds each query once: the table asks each question under many settings."""

    def __init__(self) -> None:
        super().__init__()
        self._once = lru_cache(maxsize=10_000)(lambda text: MiniLM.embed(self, [text])[0])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns what MiniLM returns."""
        if len(texts) == 1:
            return np.asarray(self._once(texts[0])[None, :], np.float32)
        return super().embed(texts)


def shown_ids(recall: Recall, *, with_window: bool) -> set[str]:
    """Returns the evidence ids of everything that the context shows."""
    shown = {each.page.metadata[f"{side}_id"] for each in recall.pages for side in each.shown}
    if with_window:
        shown |= {page.metadata[f"{side}_id"] for page in recall.short_term for side in ("user", "assistant")}
    return shown


def measure(
    memories: dict[str, Memoryos],
    probes: Sequence[Probe],
    *,
    with_window: bool = False,
    columns: Sequence[str] | None = None,
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Returns recall by limit, as "500 tokens", ``float64[probes]`` each, and the mean tokens of a whole context."""
    found: dict[str, list[float]] = {}
    whole: list[float] = []
    for probe in probes:
        for limit, arguments in limits():
            if columns is not None and limit not in columns:
                continue
            recall = memories[probe.memory].recall(probe.text, **arguments)
            shown = shown_ids(recall, with_window=with_window)
            found.setdefault(limit, []).append(len(probe.evidence & shown) / len(probe.evidence))
            if limit == "1000 tokens":
                whole.append(len(recall.to_prompt()) / 4)
    return {limit: np.array(values) for limit, values in found.items()}, float(np.mean(whole)) if whole else 0.0


def measure_store(
    config: Config,
    probes: Sequence[Probe],
    embedder: CachingEmbedder,
    end: datetime,
    *,
    with_window: bool = False,
    columns: Sequence[str] | None = None,
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Returns what ``measure`` does, asked at ``end`` in the memories of a store that was filled before."""
    with MemoryEngine(config, embedder=embedder, clock=lambda: end) as engine:
        memories = {probe.memory: engine.memory(probe.memory) for probe in probes}
        return measure(memories, probes, with_window=with_window, columns=columns)


def limits() -> Iterable[tuple[str, dict[str, Any]]]:
    """Yields the columns of a table and the arguments of ``recall`` behind each."""
    for budget in BUDGETS:
        yield f"{budget} tokens", {"max_tokens": budget}
    for count in PAGE_COUNTS:
        yield f"{count} pages", {"max_pages": count}


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    """Returns the mean and its 95% bootstrap interval over the questions."""
    random = np.random.default_rng(0)
    means = values[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "questions": len(values)}


def tabulate(values: dict[str, NDArray[np.float64]], groups: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    """Returns by group and by limit the mean with its interval; the group "all" is everything."""
    table: dict[str, Any] = {}
    for group in wanted:
        chosen = np.array([group in {"all", each} for each in groups])
        if chosen.any():
            table[group] = {limit: interval(each[chosen]) for limit, each in values.items()}
    return table


def print_table(title: str, table: dict[str, Any]) -> None:
    """Prints one table: a line a group, a column a limit."""
    columns = list(next(iter(table.values())))
    sys.stdout.write(f"\n{title}\n{'':14}" + "".join(f"{column:>22}" for column in columns) + "\n")
    for group, cells in table.items():
        shown = [f"{cell['mean']:.3f} [{cell['low']:.3f},{cell['high']:.3f}]" for cell in cells.values()]
        sys.stdout.write(f"{group:14}" + "".join(f"{cell:>22}" for cell in shown) + "\n")


def peak_megabytes() -> float:
    """Returns the largest resident set of this process since it was started (Linux: ``getrusage`` counts the parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def draw(file: str, title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Draws recall over the token budget, a line a row with its interval."""
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
