"""Memories and contexts of each row of the answer benchmark."""

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
from memoryos.memory import Memoryos
from memoryos.model import Profile
from memoryos.retrieval.recall import Recall
from memoryos.retrieval.retriever import Retriever
from memoryos.seams import Analyst, Embedder

MEMORYOS, BM25, PLAIN, FULL = ROWS = ("memoryos", "BM25", "plain embedding", "full context")
SEARCHES = {BM25: evidence.ROWS["words only (BM25)"], PLAIN: evidence.ROWS["plain embedding"]}
"""Rows whose contexts contain pages only, without knowledge and profile."""
WINDOW = 7


@dataclass(frozen=True, slots=True)
class Case:
    """One question of one conversation for one row; ``number`` is its index in the data file."""

    row: str
    conversation: str
    number: int
    question: LocomoQuestion

    @property
    def id(self) -> str:
        """The id of the case in all files of this benchmark."""
        return f"{self.row}/{self.conversation}/{self.number}"

    def to_line(self) -> dict[str, Any]:
        """Returns the common first fields of its lines."""
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
    """Returns the questions of these categories for every row, at most ``limit`` per conversation."""
    chosen = [
        (conversation.name, [each for each in enumerate(conversation.questions) if each[1].category in categories])
        for conversation in conversations
    ]
    return [Case(row, name, *each) for row in rows for name, questions in chosen for each in questions[:limit]]


class Contexts:
    """The memories of the rows. Recalls do not change them, not even the heat of segments.

    Args:
        conversations: Conversations to store.
        rows: Names of the rows.
        config: Settings of the row "memoryos"; its store is in ``data_storage_path``.
        writer: Analyst that consolidates for the row "memoryos"; the other rows use no result of consolidation.
        embedder: Embedder of all rows.
        end: Time at which the questions are asked.
        max_tokens: Maximum tokens of recalled pages.
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
        """Returns the recall of the row for the question; the whole conversation for "full context"."""
        if case.row == FULL:
            return Recall(case.question.text, short_term=self._pages_of(case.conversation))
        engine, retriever = self._rows[case.row]
        scope_id = engine.store.scopes.find(engine.memory(case.conversation).scope)
        assert scope_id is not None
        recall = retriever.recall(scope_id, case.question.text, now=self._end, max_tokens=self._max_tokens)
        return recall if case.row == MEMORYOS else replace(recall, knowledge=(), profile=Profile())

    def writing(self) -> dict[str, Any] | None:
        """Returns the LLM costs of consolidation for the row "memoryos", in total and per page."""
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


def _remember(memory: Memoryos, conversation: Conversation, *, consolidate: bool) -> None:
    """Adds the missing pages, which continues an interrupted run."""
    known = sum(1 for _ in memory.pages())
    add_exchanges(memory, replace(conversation, exchanges=conversation.exchanges[known:]))
    if consolidate:
        memory.flush()


def write_prompt(recall: Recall, style_hint: str, config: Config) -> str:
    """Returns the complete prompt as one text."""
    system = answer_prompt(
        recall,
        style_hint=style_hint,
        agent_profile=config.agent_profile,
        instructions=config.standing_instructions,
    )
    return f"{system}\n\n{recall.query}"


def memory_config(folder: Path) -> Config:
    """Returns the settings of the row "memoryos": those of the environment, with a separate database."""
    return Config.load().with_(**settings(folder, window=WINDOW), database_url=None)
