"""Measures evidence recall, with 95% bootstrap intervals.

The utterances that contain the answer to a question are the evidence of the question. A recall with the question as
the query finds some of them. Evidence recall is the share of the evidence that the recall finds, from 0 to 1.
"""

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
"""Rows of the result table. Each name has a function that returns the settings for this row."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question, and the utterances that contain its answer (the evidence).

    Attributes:
        memory: User id of the memory to search.
        text: The question.
        evidence: Ids of the utterances that contain the answer.
        group: Name of the row in the result table.
    """

    memory: str
    text: str
    evidence: frozenset[str]
    group: str


def shown_ids(recall: Recall, *, with_window: bool) -> set[str]:
    """Returns the dataset's ids of all utterances that the context shows.

    An utterance is shown if the context contains 60% of its content words. Only words from the utterance's own page
    count.

    Args:
        recall: The result of the recall.
        with_window: Whether to include the utterances of short-term memory.
    """
    shown = [(each.page, shown_text(each)) for each in recall.pages]
    if with_window:
        shown += [(each.page, shown_text(each)) for each in recall.shown_short_term()]
    return {
        page.metadata[f"{side}_id"]
        for page, text in shown
        for side in SIDES
        if page.text(side) and is_shown(page.text(side), [text])
    }


def shown_text(shown: RecalledPage) -> str:
    """Returns the part of a page's text that the context shows."""
    return "\n".join(shown.page.text(span.side)[span.start : span.end] for span in shown.shown)


def measure(
    memories: dict[str, Memory],
    probes: Sequence[Probe],
    *,
    with_window: bool = False,
    columns: Sequence[str] | None = None,
    progress: Callable[[], None] | None = None,
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Asks all questions, and measures evidence recall and the size of the context (the recalled text for a prompt).

    Args:
        memories: The memories by user id.
        probes: The questions.
        with_window: Whether utterances of short-term memory count as found.
        columns: Names of the limits to measure, for example "500 tokens"; default: all limits.
        progress: Called after each question.

    Returns:
        The evidence recall of each question, ``float64[probes]``, for each limit (e.g. "500 tokens"); and the mean size
        of the whole context in tokens, with a budget of 1,000 tokens for pages.
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
    """Calls ``measure`` with the memories of an existing store. The engine's clock always returns ``end``."""
    with MemoryEngine(config, embedder=embedder, clock=lambda: end) as engine:
        memories = {probe.memory: engine.memory(probe.memory) for probe in probes}
        return measure(memories, probes, with_window=with_window, columns=columns, progress=progress)


def limits() -> Iterable[tuple[str, dict[str, Any]]]:
    """Yields the name (e.g. "500 tokens") and the ``Memory.recall`` arguments of each limit in the result table."""
    for budget in BUDGETS:
        yield f"{budget} tokens", {"max_tokens": budget}
    for count in PAGE_COUNTS:
        yield f"{count} pages", {"max_pages": count}


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    """Returns the mean of the questions' values with its 95% bootstrap interval.

    Args:
        values: ``float64[questions]``.
    """
    random = np.random.default_rng(0)
    means = values[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "questions": len(values)}


def tabulate(values: dict[str, NDArray[np.float64]], groups: Sequence[str], rows: Sequence[str]) -> dict[str, Any]:
    """Returns a table with the mean and the 95% interval of each group of questions for each limit.

    Args:
        values: ``float64[questions]`` for each limit (e.g. "500 tokens").
        groups: The group of each question.
        rows: The groups in the table. "all" means every question. Groups without questions are left out.
    """
    table: dict[str, Any] = {}
    for group in rows:
        chosen = np.array([group in {"all", each} for each in groups])
        if chosen.any():
            table[group] = {limit: interval(each[chosen]) for limit, each in values.items()}
    return table
