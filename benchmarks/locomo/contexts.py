"""What each row of the answer benchmark puts before the model: its memories, and the context of a question."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks import evidence
from benchmarks.locomo.__main__ import add_exchanges, settings
from memoryos.analysts.local import LocalAnalyst
from memoryos.config import Config
from memoryos.doors.locomo import Conversation, LocomoQuestion
from memoryos.engine import MemoryEngine
from memoryos.generation.prompt import answer_prompt
from memoryos.memory import Memory
from memoryos.model import Profile
from memoryos.retrieval.recall import Recall
from memoryos.retrieval.retriever import Retriever
from memoryos.seams import Analyst, Embedder

MEMORYOS, BM25, PLAIN, FULL = ROWS = ("memoryos", "BM25", "plain embedding", "full context")
SEARCHES = {BM25: evidence.ROWS["words only (BM25)"], PLAIN: evidence.ROWS["plain embedding"]}
"""Rows that search the dialogue and know nothing besides: their contexts are pages, without knowledge and profile."""
WINDOW = 7


@dataclass(frozen=True, slots=True)
class Case:
    """One question of one conversation, asked of one row; ``number`` is its place in the file's list."""

    row: str
    conversation: str
    number: int
    question: LocomoQuestion

    @property
    def id(self) -> str:
        """Names it in every file of this benchmark."""
        return f"{self.row}/{self.conversation}/{self.number}"

    def to_line(self) -> dict[str, Any]:
        """Returns what every line about it begins with."""
        return {
            "id": self.id,
            "row": self.row,
            "conversation": self.conversation,
            "category": self.question.category,
            "question": self.question.text,
            "reference": self.question.answer,
        }


def read_cases(
    conversations: Iterable[Conversation], rows: Iterable[str], categories: Sequence[int], limit: int | None
) -> list[Case]:
    """Returns every question of these categories for every row, the first ``limit`` of each conversation."""
    chosen = [
        (conversation.name, [each for each in enumerate(conversation.questions) if each[1].category in categories])
        for conversation in conversations
    ]
    return [Case(row, name, *each) for row in rows for name, questions in chosen for each in questions[:limit]]


class Contexts:
    """The memories behind the rows. Looking something up changes nothing in them: not even the heat of a segment.

    Args:
        conversations: What is remembered.
        rows: The rows wanted.
        config: The settings of the row "memoryos", its store in ``data_storage_path``.
        writer: Who consolidates for the row "memoryos"; the other rows show none of what consolidation writes.
        embedder: Makes vectors.
        end: When the questions are asked.
        max_tokens: Of recalled pages.
    """

    def __init__(
        self,
        conversations: Sequence[Conversation],
        rows: Sequence[str],
        *,
        config: Config,
        writer: Analyst,
        embedder: Embedder,
        end: datetime,
        max_tokens: int,
    ) -> None:
        self._conversations = conversations
        self._end = end
        self._max_tokens = max_tokens
        self._rows: dict[str, tuple[MemoryEngine, Retriever]] = {}
        open_engine = partial(MemoryEngine, embedder=embedder, clock=lambda: end)
        with ExitStack() as stack:
            if MEMORYOS in rows:
                engine = stack.enter_context(open_engine(config, analyst=writer))
                self._write(engine, consolidate=True)
                self._rows[MEMORYOS] = engine, engine.retriever
            others = [row for row in rows if row != MEMORYOS]
            if others:
                plain = settings(config.data_storage_path / "pages", window=0) | {"database_url": None}
                engine = stack.enter_context(open_engine(Config(**plain), analyst=LocalAnalyst()))
                self._write(engine, consolidate=others != [FULL])
                for row in others:
                    searching = SEARCHES.get(row, Config)(**plain)
                    self._rows[row] = engine, Retriever(engine.store, embedder, engine.working_sets, searching)
            self._stack = stack.pop_all()
        self._pages_of = cache(lambda name: tuple(self._rows[FULL][0].memory(name).pages()))

    def recall(self, case: Case) -> Recall:
        """Returns what the row remembers for the question; the whole conversation for "full context"."""
        if case.row == FULL:
            return Recall(case.question.text, short_term=self._pages_of(case.conversation))
        engine, retriever = self._rows[case.row]
        scope_id = engine.store.scopes.find(engine.memory(case.conversation).scope)
        assert scope_id is not None
        recall = retriever.recall(scope_id, case.question.text, now=self._end, max_tokens=self._max_tokens)
        return recall if case.row == MEMORYOS else replace(recall, knowledge=(), profile=Profile())

    def writing(self) -> dict[str, Any] | None:
        """Returns what the LLM cost that wrote the memory of the row "memoryos", in all and per page."""
        if MEMORYOS not in self._rows:
            return None
        engine, _ = self._rows[MEMORYOS]
        costs = [cost for each in self._conversations for cost in engine.memory(each.name).costs()]
        pages = sum(len(each.exchanges) for each in self._conversations)
        names = ("calls", "failed_calls", "prompt_tokens", "completion_tokens", "seconds")
        totals = {name: sum(getattr(each, name) for each in costs) for name in names}
        per_page = {name: total / pages for name, total in totals.items()}
        return {"written_by": engine.analyst.origin.analyst, "pages": pages, **totals, "per_page": per_page}

    def close(self) -> None:
        """Closes the stores."""
        self._stack.close()

    def __enter__(self) -> Contexts:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, engine: MemoryEngine, *, consolidate: bool) -> None:
        for each in self._conversations:
            _remember(engine.memory(each.name), each, consolidate=consolidate)
            who = engine.analyst.origin.analyst if consolidate else "nobody"
            sys.stderr.write(f"{each.name}: {len(each.exchanges)} pages, consolidated by {who}\n")


def _remember(memory: Memory, conversation: Conversation, *, consolidate: bool) -> None:
    """Adds what is not there yet: a run that was broken off goes on where it was."""
    known = sum(1 for _ in memory.pages())
    add_exchanges(memory, replace(conversation, exchanges=conversation.exchanges[known:]))
    if consolidate:
        memory.flush()


def write_prompt(recall: Recall, style_hint: str, config: Config) -> str:
    """Returns the whole of what a model is asked, as one text."""
    system = answer_prompt(
        recall,
        style_hint=style_hint,
        agent_profile=config.agent_profile,
        instructions=config.standing_instructions,
    )
    return f"{system}\n\n{recall.query}"


def memory_config(folder: Path) -> Config:
    """Returns the settings of the row "memoryos": those of the environment, in a database of the benchmark's own."""
    return Config.load().with_(**settings(folder, window=WINDOW), database_url=None)
