"""Costs of an LLM: ``python -m benchmarks.llm`` builds LoCoMo-dev's tiers with a deterministic simulated endpoint.

The endpoint implements the OpenAI API on this machine. It generates replies by simple rules, with about the length of a
real model's replies, and estimates a quarter of a token per character.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.evidence import CachingEmbedder
from benchmarks.locomo.__main__ import add_exchange, add_exchanges
from memoryos.config import Config
from memoryos.doors.locomo import Conversation, read_locomo
from memoryos.engine import MemoryEngine
from memoryos.memory import Memory
from memoryos.testing import FakeOpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUNDS = {
    "LLM calls per page, as the pages come": 0.25,
    "LLM tokens per page, as the pages come": 350.0,
    "LLM calls per page, all at once": 0.25,
    "LLM tokens per page, all at once": 350.0,
    "LLM calls of an answer": 1.0,
    "LLM calls of a recall": 0.0,
    "add_memory p50, with a 500 ms LLM ÷ with the local analyst": 1.2,
    "200 answers at once, LLM of 1 s, seconds": 5.0,
}
SAMPLES = 300
PAUSE_SECONDS = 0.07
"""Pause between two additions; longer than the worker's quiet time, so that the worker runs in between."""
ASKERS = 200


def main() -> None:
    """Runs all measurements and prints each figure with its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/locomo-dev.json"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    conversations = read_locomo(arguments.data)
    embedder = CachingEmbedder()
    figures: dict[str, float] = {}
    for name, is_live in (("as the pages come", True), ("all at once", False)):
        written = _writing(conversations, embedder, is_live=is_live)
        figures[f"LLM calls per page, {name}"] = written["calls"]
        figures[f"LLM tokens per page, {name}"] = written["tokens"]
    figures |= _calls_of_asking(conversations[0], embedder)
    figures |= _adding(conversations, embedder)
    figures |= _asking_at_once(conversations[0], embedder)
    for name, value in figures.items():
        bound = BOUNDS.get(name)
        verdict = "" if bound is None else f"  (bound {bound:g}) {'' if value <= bound else ' OVER'}"
        sys.stdout.write(f"{name:<62}{value:>9.3f}{verdict}\n")
    arguments.out.mkdir(parents=True, exist_ok=True)
    report = {"command": "python -m benchmarks.llm " + " ".join(sys.argv[1:]), "figures": figures}
    (arguments.out / "llm.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


def _settings(server: FakeOpenAIServer, folder: Path, **given: Any) -> Config:
    endpoint = {"openai_api_key": "simulated", "openai_base_url": server.base_url}
    return Config(data_storage_path=folder, **({"background": False} | endpoint | given))


@contextlib.contextmanager
def _served(conversation: Conversation, embedder: CachingEmbedder) -> Iterator[tuple[FakeOpenAIServer, Memory]]:
    """Yields the simulated endpoint and a memory that uses it and contains the consolidated conversation."""
    with (
        FakeOpenAIServer() as server,
        tempfile.TemporaryDirectory() as folder,
        MemoryEngine(_settings(server, Path(folder)), embedder=embedder) as engine,
    ):
        memory = engine.memory(conversation.name)
        add_exchanges(memory, conversation)
        memory.flush()
        yield server, memory


def _writing(conversations: list[Conversation], embedder: CachingEmbedder, *, is_live: bool) -> dict[str, float]:
    """Consolidates every conversation: after each page as a worker would (``is_live``), or everything at the end."""
    pages = sum(len(each.exchanges) for each in conversations)
    with (
        FakeOpenAIServer() as server,
        tempfile.TemporaryDirectory() as folder,
        MemoryEngine(_settings(server, Path(folder)), embedder=embedder) as engine,
    ):
        for conversation in conversations:
            memory = engine.memory(conversation.name)
            for exchange in conversation.exchanges:
                add_exchange(memory, conversation, exchange)
                if is_live:
                    scope_id = engine.store.scopes.find(memory.scope) or ""
                    engine.updater.drain(scope_id, everything=False)
            memory.flush()
        costs = [cost for each in conversations for cost in engine.memory(each.name).costs()]
    return {"calls": sum(each.calls for each in costs) / pages, "tokens": sum(each.tokens for each in costs) / pages}


def _calls_of_asking(conversation: Conversation, embedder: CachingEmbedder) -> dict[str, float]:
    with _served(conversation, embedder) as (server, memory):
        questions = [question.text for question in conversation.questions[:50]]
        before = len(server.requests)
        for question in questions:
            memory.recall(question)
        recalled = len(server.requests)
        for question in questions:
            memory.get_response(question, remember=False)
        answered = len(server.requests)
    return {
        "LLM calls of a recall": (recalled - before) / len(questions),
        "LLM calls of an answer": (answered - recalled) / len(questions),
    }


def _adding(conversations: list[Conversation], embedder: CachingEmbedder) -> dict[str, float]:
    """Times add_memory while a worker waits for a slow LLM, in turns with a memory that uses the local analyst."""
    conversation = max(conversations, key=lambda each: len(each.exchanges))
    with FakeOpenAIServer(latency_seconds=0.5) as server, tempfile.TemporaryDirectory() as folder:
        slow = _settings(server, Path(folder) / "slow", background=True)
        without = Config(data_storage_path=Path(folder) / "without", background=True)
        with MemoryEngine(slow, embedder=embedder) as one, MemoryEngine(without, embedder=embedder) as other:
            memories = [one.memory("bench"), other.memory("bench")]
            seconds: list[list[float]] = [[], []]
            for number in range(min(SAMPLES, len(conversation.exchanges))):
                for place in (0, 1) if number % 2 else (1, 0):
                    started = time.perf_counter()
                    add_exchange(memories[place], conversation, conversation.exchanges[number])
                    seconds[place].append(time.perf_counter() - started)
                time.sleep(PAUSE_SECONDS)
            asked = len(server.requests)
    medians = [statistics.median(each) for each in seconds]
    return {
        "add_memory p50, with a 500 ms LLM ÷ with the local analyst": medians[0] / medians[1],
        "add_memory p50 with a 500 ms LLM, ms": medians[0] * 1e3,
        "LLM calls meanwhile": float(asked),
    }


def _asking_at_once(conversation: Conversation, embedder: CachingEmbedder) -> dict[str, float]:
    with _served(conversation, embedder) as (server, memory):
        memory.get_response("Are you there?", remember=False)
        server.latency_seconds = 1.0
        texts = [f"{conversation.questions[number % 150].text} ({number})" for number in range(ASKERS)]
        with ThreadPoolExecutor(ASKERS) as askers:
            started = time.perf_counter()
            answers = list(askers.map(memory.get_response, texts))
            seconds = time.perf_counter() - started
        remembered = sum(page.user_text in set(texts) for page in memory.pages())
    if not all(answers) or remembered != ASKERS:
        raise RuntimeError(f"{sum(map(bool, answers))} answers, {remembered} remembered")
    return {f"{ASKERS} answers at once, LLM of 1 s, seconds": seconds}


if __name__ == "__main__":
    main()
