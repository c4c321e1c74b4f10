"""Measures evidence recall: the share of a question's evidence in the context, with 95% bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.config import Config, RankingWeights
from memoryos.doors.bench.word_coverage import is_shown
from memoryos.engine import MemoryEngine
from memoryos.model import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from memoryos.memory import Memory
    from memoryos.model import Page
    from memoryos.retrieval.recall import Recall, RecalledPage
    from memoryos.seams import Embedder

__all__ = [
    "BUDGETS",
    "ROWS",
    "Probe",
    "interval",
    "limits",
    "measure",
    "measure_store",
    "shown_ids",
    "shown_text",
    "tabulate",
]

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
"""Table rows by name: constructors of the settings with which the shipped code searches the same store."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question with known evidence.

    Attributes:
        memory: User id of the memory to search.
        text: The question.
        evidence: Ids of the utterances that answer it.
        group: Name of the row in the result table.
    """

    memory: str
    text: str
    evidence: frozenset[str]
    group: str


def shown_ids(recall: Recall, *, with_window: bool) -> set[str]:
    """Returns the evidence ids of all utterances of which the context shows 60% of the content words.

    Only words that the context shows of the utterance's own page count.
    """
    shown = [(each.page, shown_text(each)) for each in recall.pages]
    if with_window:
        shown += [(page, _whole_text(page)) for page in recall.short_term]
    return {
        page.metadata[f"{side}_id"]
        for page, text in shown
        for side in SIDES
        if page.text(side) and is_shown(page.text(side), [text])
    }


def shown_text(recalled: RecalledPage) -> str:
    """Returns what the context shows of a recalled page."""
    return "\n".join(recalled.page.text(span.side)[span.start : span.end] for span in recalled.shown)


def _whole_text(page: Page) -> str:
    return "\n".join(page.text(side) for side in SIDES)


def measure(
    memories: dict[str, Memory],
    probes: Sequence[Probe],
    *,
    with_window: bool = False,
    columns: Sequence[str] | None = None,
    progress: Callable[[], None] | None = None,
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Returns evidence recall by limit and the mean size of a whole context.

    Returns:
        ``float64[probes]`` by limit (a key is for example "500 tokens"), and the mean size in tokens of a whole
        context at a budget of 1,000.
    """
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
        if progress is not None:
            progress()
    return {limit: np.array(values) for limit, values in found.items()}, float(np.mean(whole)) if whole else 0.0


def measure_store(
    config: Config,
    probes: Sequence[Probe],
    embedder: Embedder,
    end: datetime,
    *,
    with_window: bool = False,
    columns: Sequence[str] | None = None,
    progress: Callable[[], None] | None = None,
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Calls ``measure`` on a store that was filled before, with ``end`` as the current time."""
    with MemoryEngine(config, embedder=embedder, clock=lambda: end) as engine:
        memories = {probe.memory: engine.memory(probe.memory) for probe in probes}
        return measure(memories, probes, with_window=with_window, columns=columns, progress=progress)


def limits() -> Iterable[tuple[str, dict[str, Any]]]:
    """Yields each column name of the tables with the arguments that it passes to ``recall``."""
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


def tabulate(values: dict[str, NDArray[np.float64]], groups: Sequence[str], rows: Sequence[str]) -> dict[str, Any]:
    """Returns the mean and its interval by row and limit.

    Args:
        values: ``float64[questions]`` by limit.
        groups: The group of each question.
        rows: The groups to return; "all" selects every question. Groups without questions are left out.
    """
    table: dict[str, Any] = {}
    for group in rows:
        chosen = np.array([group in {"all", each} for each in groups])
        if chosen.any():
            table[group] = {limit: interval(each[chosen]) for limit, each in values.items()}
    return table
