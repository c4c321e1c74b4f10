"""LoCoMo without an LLM: ``python -m benchmarks.locomo`` ingests a file and reports evidence recall."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evidence import (
    ROWS,
    CachingEmbedder,
    Probe,
    draw,
    measure_store,
    peak_megabytes,
    print_table,
    tabulate,
)
from memoryos.config import Config
from memoryos.doors.locomo import CATEGORIES, Conversation, Exchange, read_locomo
from memoryos.engine import MemoryEngine
from memoryos.memory import Memoryos

HEADLINE = ("all", *(CATEGORIES[number] for number in (1, 4, 2, 3)))


def main() -> None:
    """Runs the benchmark and writes ``locomo.json`` and ``locomo.png``."""
    arguments = _arguments()
    conversations = read_locomo(arguments.data, captions=not arguments.no_captions)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        report = run(conversations, Path(folder))
    report["command"] = "python -m benchmarks.locomo " + " ".join(sys.argv[1:])
    (arguments.out / "locomo.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    draw(
        str(arguments.out / "locomo.png"),
        "LoCoMo, categories 1–4, no LLM",
        {name: row["all"] for name, row in report["recall"].items()},
    )


def run(conversations: list[Conversation], folder: Path) -> dict[str, Any]:
    """Returns the whole report of these conversations."""
    end = max(each.exchanges[-1].at for each in conversations) + timedelta(days=1)
    embedder = CachingEmbedder()
    report: dict[str, Any] = {"ingest": ingest(conversations, folder / "window", embedder, end)}
    sys.stdout.write(json.dumps(report["ingest"]) + "\n")
    ingest(conversations, folder / "whole", embedder, end, window=0)
    probes = read_probes(conversations)
    report["recall"] = {}
    for name, make_config in ROWS.items():
        table, _ = _row(make_config(**settings(folder / "whole", window=0)), probes, embedder, end)
        report["recall"][name] = table
        print_table(f"{name}: evidence recall, window off", table)
    config = Config(**settings(folder / "window", window=7))
    table, tokens = _row(config, probes, embedder, end, with_window=True)
    report["whole_context"] = {"recall": table, "tokens_at_1000": tokens}
    print_table(
        f"whole contexts (window, knowledge and profile besides; {tokens:.0f} tokens at the 1000-token budget)", table
    )
    report["peak_megabytes"] = peak_megabytes()
    return report


def ingest(
    conversations: list[Conversation], folder: Path, embedder: CachingEmbedder, end: datetime, *, window: int = 7
) -> dict[str, Any]:
    """Remembers and consolidates every conversation; returns what it cost and whether every page is in its place.

    With the window at 0 every page is in a segment, as a table of rows that search without a window needs: a gate of
    segments could never find the pages of a window.
    """
    with MemoryEngine(Config(**settings(folder, window=window)), embedder=embedder, clock=lambda: end) as engine:
        started = time.perf_counter()
        pages = sum(add_exchanges(engine.memory(each.name), each) for each in conversations)
        added = time.perf_counter()
        for each in conversations:
            engine.memory(each.name).flush()
        seconds = time.perf_counter() - added
        conserved = all(_is_conserved(engine.memory(each.name), each) for each in conversations)
        stats = [engine.memory(each.name).get_memory_stats() for each in conversations]
        latencies = []
        for each in conversations[:1]:
            memory = engine.memory(each.name)
            for question in each.questions[:100]:
                asked = time.perf_counter()
                memory.recall(f"{question.text} ", max_tokens=1000)
                latencies.append(time.perf_counter() - asked)
    return {
        "pages": pages,
        "add_seconds": added - started,
        "consolidate_seconds": seconds,
        "recall_p50_ms": float(np.median(latencies)) * 1e3,
        "conserved": conserved,
        "segments": sum(each["segments"] for each in stats),
        "knowledge": sum(each["knowledge_about_user"] + each["knowledge_about_assistant"] for each in stats),
        "traits": sum(each["traits"] for each in stats),
    }


def add_exchanges(memory: Memoryos, conversation: Conversation) -> int:
    """Remembers every exchange of a conversation, with the ids of its evidence; returns how many."""
    for exchange in conversation.exchanges:
        add_exchange(memory, conversation, exchange)
    return len(conversation.exchanges)


def add_exchange(memory: Memoryos, conversation: Conversation, exchange: Exchange) -> None:
    """Remembers one exchange of a conversation, with the ids of its evidence."""
    memory.add_memory(
        exchange.user_text,
        exchange.assistant_text,
        exchange.at,
        {
            "user_name": conversation.user_name,
            "assistant_name": conversation.assistant_name,
            "user_id": exchange.user_evidence_id,
            "assistant_id": exchange.assistant_evidence_id,
        },
    )


def _is_conserved(memory: Memoryos, conversation: Conversation) -> bool:
    pages = list(memory.pages())
    window = {page.page_id for page in pages[max(0, len(pages) - memory.config.short_term_capacity) :]}
    segments = {segment.segment_id: segment.page_count for segment in memory.segments()}
    held = [page.segment_id for page in pages if page.segment_id is not None]
    return (
        len(pages) == len(conversation.exchanges)
        and [page.user_text for page in pages] == [each.user_text for each in conversation.exchanges]
        and all((page.segment_id is None) == (page.page_id in window) for page in pages)
        and {each: held.count(each) for each in segments} == segments
        and memory.get_memory_stats()["pages_due"] == 0
    )


def read_probes(conversations: list[Conversation]) -> list[Probe]:
    """Returns the questions that have evidence."""
    return [
        Probe(conversation.name, question.text, question.evidence, CATEGORIES[question.category])
        for conversation in conversations
        for question in conversation.questions
        if question.evidence
    ]


def _row(
    config: Config,
    probes: list[Probe],
    embedder: CachingEmbedder,
    end: datetime,
    *,
    with_window: bool = False,
) -> tuple[dict[str, Any], float]:
    values, tokens = measure_store(config, probes, embedder, end, with_window=with_window)
    groups = [probe.group for probe in probes]
    answerable = np.array([group != CATEGORIES[5] for group in groups])
    table = tabulate(
        {limit: each[answerable] for limit, each in values.items()},
        [group for group in groups if group != CATEGORIES[5]],
        HEADLINE,
    )
    return table | tabulate(values, groups, [CATEGORIES[5]]), tokens


def settings(folder: Path, *, window: int) -> dict[str, Any]:
    """Returns what every engine of this benchmark is set to."""
    return {"data_storage_path": folder, "short_term_capacity": window, "background": False}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/locomo-dev.json"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--no-captions", action="store_true", help="leave out the captions of shared photos")
    return parser.parse_args()


if __name__ == "__main__":
    main()
