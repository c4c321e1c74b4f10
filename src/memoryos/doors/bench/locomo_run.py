"""Measures how well recalls find the answers to the questions of the LoCoMo dataset, without an LLM."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from memoryos.config import Config
from memoryos.doors.bench.evidence import ROWS, Probe, measure_store, tabulate
from memoryos.doors.locomo import CATEGORIES
from memoryos.engine import MemoryEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from memoryos.doors.locomo import Conversation, Exchange
    from memoryos.memory import Memory
    from memoryos.seams import Analyst, Embedder

__all__ = [
    "HEADLINE",
    "QuestionSet",
    "add_exchange",
    "add_exchanges",
    "ingest",
    "progress_steps",
    "read_probes",
    "run",
    "settings",
]

ADVERSARIAL = CATEGORIES[5]
HEADLINE = ("all", *(CATEGORIES[number] for number in (1, 4, 2, 3)))
"""Question groups of a table. "all" contains every category except the adversarial one, as in the LoCoMo paper."""
WINDOW = 7
TIMED_RECALLS = 100


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The questions of a benchmark run. All table rows are measured with the same questions.

    Attributes:
        probes: The questions.
        embedder: Embeds the questions.
        end: Time that the engine takes as the current time when the questions are asked.
        progress: Called after each question.
    """

    probes: Sequence[Probe]
    embedder: Embedder
    end: datetime
    progress: Callable[[], None] | None = None

    def table(self, config: Config, *, with_window: bool = False) -> tuple[dict[str, Any], float]:
        """Asks all questions with the given settings, and returns the evidence recall and the mean context size.

        Returns:
            The evidence recall of each question group at each limit; and the mean size in tokens of the whole recalled
            text, with a budget of 1,000 tokens for pages.
        """
        values, tokens = measure_store(
            config, self.probes, self.embedder, self.end, with_window=with_window, progress=self.progress
        )
        groups = [probe.group for probe in self.probes]
        answerable = np.array([group != ADVERSARIAL for group in groups])
        table = tabulate(
            {limit: each[answerable] for limit, each in values.items()},
            [group for group in groups if group != ADVERSARIAL],
            HEADLINE,
        )
        return table | tabulate(values, groups, [ADVERSARIAL]), tokens


def run(
    conversations: Sequence[Conversation],
    folder: Path,
    embedder: Embedder,
    *,
    analyst: Analyst | None = None,
    progress: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Stores the conversations, asks their questions, and measures evidence recall.

    Args:
        conversations: At least one conversation with exchanges.
        folder: Folder for the databases of the benchmark.
        embedder: Embeds pages and questions.
        analyst: Extracts the facts; default: the local analyst.
        progress: Called ``progress_steps(conversations)`` times.

    Returns:
        A dictionary with three keys. ``ingest`` contains durations and counts. ``recall`` contains the mean, the
        interval (low, high) and the number of questions by row, group and limit. ``whole_context`` contains the same
        numbers for the whole context (with short-term memory, knowledge and profile), and its mean size in tokens.
    """
    end = max(each.exchanges[-1].at for each in conversations) + timedelta(days=1)
    store = partial(ingest, conversations, embedder=embedder, end=end, analyst=analyst, progress=progress)
    report: dict[str, Any] = {"ingest": store(folder / "window")}
    store(folder / "whole", window=0)
    questions = QuestionSet(read_probes(conversations), embedder, end, progress)
    report["recall"] = {
        name: questions.table(make_config(**_isolated(folder / "whole", window=0)))[0]
        for name, make_config in ROWS.items()
    }
    table, tokens = questions.table(Config(**_isolated(folder / "window", window=WINDOW)), with_window=True)
    report["whole_context"] = {"recall": table, "tokens_at_1000": tokens}
    return report


def progress_steps(conversations: Sequence[Conversation]) -> int:
    """Returns the number of times that ``run`` calls ``progress``."""
    return 2 * len(conversations) + (len(ROWS) + 1) * len(read_probes(conversations))


def ingest(
    conversations: Sequence[Conversation],
    folder: Path,
    embedder: Embedder,
    end: datetime,
    *,
    window: int = WINDOW,
    analyst: Analyst | None = None,
    progress: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Stores and processes all conversations, and returns durations, counts and the result of a consistency check.

    With ``window=0``, there is no short-term memory, and every page is in a segment. Measurements of recalled pages
    need this, because the retrieval of the MemoryOS paper finds only pages in segments.
    """
    config = Config(**_isolated(folder, window=window))
    with MemoryEngine(config, embedder=embedder, analyst=analyst, clock=lambda: end) as engine:
        started = time.perf_counter()
        pages = sum(add_exchanges(engine.memory(each.name), each) for each in conversations)
        added = time.perf_counter()
        for each in conversations:
            engine.memory(each.name).flush()
            if progress is not None:
                progress()
        seconds = time.perf_counter() - added
        stats = [engine.memory(each.name).get_memory_stats() for each in conversations]
        return {
            "pages": pages,
            "add_seconds": added - started,
            "consolidate_seconds": seconds,
            "recall_p50_ms": _recall_p50_ms(engine.memory(conversations[0].name), conversations[0]),
            "conserved": all(_is_conserved(engine.memory(each.name), each) for each in conversations),
            "segments": sum(each["segments"] for each in stats),
            "knowledge": sum(each["knowledge_about_user"] + each["knowledge_about_assistant"] for each in stats),
            "traits": sum(each["traits"] for each in stats),
        }


def add_exchanges(memory: Memory, conversation: Conversation) -> int:
    """Stores each exchange of a conversation as a page, and returns the number of exchanges."""
    for exchange in conversation.exchanges:
        add_exchange(memory, conversation, exchange)
    return len(conversation.exchanges)


def add_exchange(memory: Memory, conversation: Conversation, exchange: Exchange) -> None:
    """Stores one exchange of a conversation as a page.

    The metadata contains the name of the conversation and the dataset's ids of the utterances.
    """
    memory.add_memory(
        exchange.user_text,
        exchange.assistant_text,
        exchange.at,
        {
            "user_name": conversation.user_name,
            "assistant_name": conversation.assistant_name,
            "conversation": conversation.name,
            "user_id": exchange.user_evidence_id,
            "assistant_id": exchange.assistant_evidence_id,
        },
    )


def read_probes(conversations: Sequence[Conversation]) -> list[Probe]:
    """Returns all questions for which the dataset names the utterances with the answer."""
    return [
        Probe(conversation.name, question.text, question.evidence, CATEGORIES[question.category])
        for conversation in conversations
        for question in conversation.questions
        if question.evidence
    ]


def settings(folder: Path, *, window: int) -> dict[str, Any]:
    """Returns the settings shared by all engines of this benchmark."""
    return {"data_storage_path": folder, "short_term_capacity": window, "background": False}


def _isolated(folder: Path, *, window: int) -> dict[str, Any]:
    """Returns ``settings`` with the database URL and the API key set to None.

    Otherwise, environment variables could set these two values.
    """
    return settings(folder, window=window) | {"database_url": None, "openai_api_key": None}


def _recall_p50_ms(memory: Memory, conversation: Conversation) -> float:
    latencies = []
    for question in conversation.questions[:TIMED_RECALLS]:
        started = time.perf_counter()
        memory.recall(f"{question.text} ", max_tokens=1000)
        latencies.append(time.perf_counter() - started)
    return float(np.median(latencies)) * 1e3 if latencies else 0.0


def _is_conserved(memory: Memory, conversation: Conversation) -> bool:
    """Returns whether every exchange of a conversation is stored exactly once and in order.

    Each page must be in exactly one segment.
    """
    pages = list(memory.pages())
    segments = {segment.segment_id: segment.page_count for segment in memory.segments()}
    assigned = [page.segment_id for page in pages if page.segment_id is not None]
    return (
        len(pages) == len(conversation.exchanges)
        and [page.user_text for page in pages] == [each.user_text for each in conversation.exchanges]
        and len(assigned) == len(pages)
        and Counter(assigned) == segments
        and memory.get_memory_stats()["pages_due"] == 0
    )
