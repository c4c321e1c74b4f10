"""Asks the questions of RealMem and writes what each context shows: ``python -m benchmarks.realmem.contexts``.

Only this part of the benchmark runs the measured program, through its public API. So it can measure an older checkout:
``PYTHONPATH=OTHER/src python -m benchmarks.realmem.contexts``. The contexts are scored by the current checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import memoryos
from benchmarks.realmem.baselines import CHARACTERS_PER_TOKEN, Bm25, Embedding, PlainSearch, Turn, turn_line
from benchmarks.realmem.stream import Exchange, Persona, Question, read_personas
from memoryos import Config, MemoryEngine, Profile, Recall

if TYPE_CHECKING:
    from benchmarks.recorded import RecordedAnalyst
    from memoryos.memory import Memory
    from memoryos.seams import Analyst, Embedder

__all__ = ["ROWS", "TOKENS", "Context", "main", "measure", "read_contexts"]

MEMORYOS, PLAIN, BM25, NOTHING = ROWS = ("memoryos", "plain embedding", "BM25", "no memory")
TOKENS = (1000, 3000)
MODEL = "all-MiniLM-L6-v2"
"""The built-in embedding model, also where the multilingual one is installed."""
USER, ASSISTANT = "user", "assistant"
LOCAL, RECORDED = READINGS = ("local", "recorded")


@dataclass(frozen=True, slots=True)
class Context:
    """What a context shows for one question.

    Attributes:
        question_id: Id of the question in the data file.
        row: One of ``ROWS``.
        max_tokens: The budget.
        tokens: Characters ÷ 4 of the whole context without the short-term window.
        facts: Texts of the shown facts.
        pages: For each shown page, the text that is shown of it.
    """

    question_id: str
    row: str
    max_tokens: int
    tokens: float
    facts: tuple[str, ...]
    pages: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes one JSON line per question, row and budget, and prints who extracted the facts.

    Args:
        arguments: Arguments of the command; default: those of the process.
    """
    sys.stderr.write(json.dumps(measure(arguments)) + "\n")
    return 0


def measure(arguments: Sequence[str] | None, embedder: Embedder | None = None) -> dict[str, Any]:
    """Does the work of ``main`` and returns who extracted the facts; for recorded facts, also their numbers.

    Args:
        arguments: As in ``main``.
        embedder: Embedder of all rows; default: the one that the measured program uses by default.
    """
    options = _options(arguments)
    analyst = _recorded(options.data) if options.readings == RECORDED else None
    started = time.monotonic()
    sys.stderr.write(f"measuring {Path(memoryos.__file__).parent}\n")
    with options.out.open("w", encoding="utf-8") as file:
        for persona in islice(read_personas(options.data), options.personas):
            with tempfile.TemporaryDirectory() as folder:
                for context in ask(persona, Path(folder), options, embedder, analyst):
                    file.write(json.dumps(asdict(context), ensure_ascii=False) + "\n")
            sys.stderr.write(f"{persona.name}: {time.monotonic() - started:.0f} s\n")
    return {"readings": LOCAL} if analyst is None else analyst.summary()


def read_contexts(file: Path) -> list[Context]:
    """Returns the lines that ``main`` wrote."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [Context(**(line | {name: tuple(line[name]) for name in ("facts", "pages")})) for line in lines]


def ask(
    persona: Persona,
    folder: Path,
    options: argparse.Namespace,
    embedder: Embedder | None = None,
    analyst: Analyst | None = None,
) -> Iterator[Context]:
    """Stores the exchanges of a persona and yields the contexts of each question, asked before its exchange is stored.

    All pending work is completed at the end of each session and before each question. The short-term window is off, so
    that the search must find every page.
    """
    rows: Sequence[str] = options.rows
    now = persona.exchanges[0].at
    config = Config(
        data_storage_path=folder,
        short_term_capacity=0,
        background=False,
        database_url=None,
        openai_api_key=None,
        embedding_model_name=MODEL,
    )
    left = sum(len(each.questions) for each in persona.exchanges) if options.limit is None else options.limit
    with MemoryEngine(config, embedder=embedder, analyst=analyst, clock=lambda: now) as engine:
        memory = engine.memory(persona.name) if MEMORYOS in rows else None
        searches = {name: build(engine) for name, build in _SEARCHES.items() if name in rows}
        for exchange in persona.exchanges:
            now = exchange.at
            for question in exchange.questions[:left]:
                left -= 1
                for max_tokens in options.tokens:
                    yield from _contexts(question, max_tokens, memory, searches, rows)
            if not left:
                return
            _store(exchange, memory, searches.values())


def _recorded(data: Path) -> RecordedAnalyst:
    """Returns the analyst that replays the memories of the data file.

    Raises:
        SystemExit: If the measured program has another protocol of analysts.
    """
    try:
        from benchmarks.realmem.memories import read_memories  # noqa: PLC0415  (fails for an earlier release)
        from benchmarks.recorded import RecordedAnalyst  # noqa: PLC0415  (same reason)
    except ImportError as error:
        raise SystemExit(f"--readings {RECORDED}: not possible with this release of memoryos ({error})") from error
    return RecordedAnalyst(read_memories(data))


def _store(exchange: Exchange, memory: Memory | None, searches: Iterable[PlainSearch]) -> None:
    page_id = f"{exchange.session_id} {exchange.at.isoformat()}"
    said = ((USER, exchange.user), (ASSISTANT, exchange.assistant))
    for search in searches:
        search.add([Turn(page_id, speaker, text) for speaker, text in said if text])
    if memory is not None:
        turn_ids = {"user_id": exchange.user_id, "assistant_id": exchange.assistant_id}
        memory.add_memory(exchange.user, exchange.assistant, exchange.at, turn_ids)
        if exchange.ends_session:
            memory.flush()


def _contexts(
    question: Question,
    max_tokens: int,
    memory: Memory | None,
    searches: dict[str, PlainSearch],
    rows: Sequence[str],
) -> Iterator[Context]:
    if memory is not None:
        memory.flush()
        recall = _recall(memory, question.text, max_tokens)
        yield Context(
            question.question_id,
            MEMORYOS,
            max_tokens,
            _prompt_tokens(recall),
            tuple(each.text for each in recall.knowledge),
            tuple(_shown_texts(recall)),
        )
    for row, search in searches.items():
        turns = list(search.search(question.text, max_tokens))
        pages: dict[str, str] = {}
        for turn in turns:
            pages[turn.page_id] = pages.get(turn.page_id, "") + turn.text + "\n"
        tokens = sum(len(turn_line(turn)) for turn in turns) / CHARACTERS_PER_TOKEN
        yield Context(question.question_id, row, max_tokens, tokens, (), tuple(pages.values()))
    if NOTHING in rows:
        yield Context(question.question_id, NOTHING, max_tokens, 0.0, (), (question.text,))


def _recall(memory: Memory, query: str, max_tokens: int) -> Recall:
    """Returns a recall whose whole prompt has at most ``max_tokens`` tokens, by characters ÷ 4.

    Releases before the passages limit only the pages. Their facts come on top, so they get a smaller limit for pages.
    """
    recall = memory.recall(query, max_tokens=max_tokens)
    try:
        return recall.fitted(max_tokens)
    except AttributeError:
        excess = _prompt_tokens(recall) - max_tokens
        return memory.recall(query, max_tokens=max(1, int(max_tokens - excess))) if excess > 0 else recall


def _prompt_tokens(recall: Recall) -> float:
    return len(recall.to_prompt(include_short_term=False)) / CHARACTERS_PER_TOKEN


def _shown_texts(recall: Recall) -> Iterator[str]:
    """Yields for each recalled page the text that the context shows of it.

    The two forms of ``RecalledPage.shown`` are tried in this order:

    1. Spans with ``side``, ``start`` and ``end``: their characters of the page.
    2. Sides (releases before the passages): what ``to_prompt`` shows of this page, which is each side in full or, above
       8,000 characters, an excerpt; without the heading, the date and the names of the speakers.
    """
    for each in recall.pages:
        shown: Sequence[Any] = each.shown
        try:
            spans = [(span.side, span.start, span.end) for span in shown]
        except AttributeError:
            yield _prompt_text(replace(recall, pages=(each,), knowledge=(), profile=Profile(), short_term=()))
        else:
            yield "\n".join(each.page.text(side)[start:end] for side, start, end in spans)


def _prompt_text(recall: Recall) -> str:
    lines = recall.to_prompt().splitlines()[2:]
    return "\n".join(line.removeprefix(f"{USER}: ").removeprefix(f"{ASSISTANT}: ") for line in lines)


_SEARCHES: dict[str, Callable[[MemoryEngine], PlainSearch]] = {
    PLAIN: lambda engine: PlainSearch(Embedding(engine.embedder)),
    BM25: lambda _: PlainSearch(Bm25()),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that decide what is asked."""
    parser.add_argument("--data", type=Path, default=Path("../shared/data/realmem-dev.jsonl"), help="the data file")
    parser.add_argument("--tokens", nargs="+", type=int, default=TOKENS, help="budgets (default: 1000 3000)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="rows to measure (default: all)")
    parser.add_argument("--readings", choices=READINGS, default=LOCAL, help="origin of the facts (default: local)")
    parser.add_argument("--personas", type=int, help="measure only this many personas")
    parser.add_argument("--limit", type=int, help="ask each persona only this many questions")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="file for the contexts")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
