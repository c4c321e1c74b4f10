"""Compares the speed of the embedder with one and with two threads: ``python -m benchmarks.micro.embedder``."""

from __future__ import annotations

import statistics
import time

from benchmarks.micro.dialogue import exchanges, questions
from memoryos.models.minilm import MiniLM


def main() -> None:
    """Prints the median time of a query and the mean time of a batch, with one and with two threads."""
    models = {threads: MiniLM(threads=threads) for threads in (1, 2)}
    texts = [text for user, assistant, _ in exchanges(64) for text in (user, assistant)]
    queries: dict[int, list[float]] = {threads: [] for threads in models}
    batches: dict[int, list[float]] = {threads: [] for threads in models}
    for model in models.values():
        model.embed(texts[:4])
    for question in questions(200):
        for threads, model in models.items():
            queries[threads].append(_seconds(model, [question]))
    for _ in range(5):
        for threads, model in models.items():
            batches[threads].append(_seconds(model, texts) / len(texts))
    for threads in models:
        print(
            f"{threads} thread(s): query p50 {statistics.median(queries[threads]) * 1e3:.2f} ms, "
            f"text of a batch {statistics.median(batches[threads]) * 1e3:.2f} ms"
        )
    print(f"2 threads ÷ 1: query {_ratio(queries):.2f}, batch {_ratio(batches):.2f}")


def _ratio(times: dict[int, list[float]]) -> float:
    return statistics.median(times[2]) / statistics.median(times[1])


def _seconds(model: MiniLM, texts: list[str]) -> float:
    started = time.perf_counter()
    model.embed(texts)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
