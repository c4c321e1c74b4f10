"""The command ``memoryos demo``: stores an example conversation, prints what is in the memory, and asks questions."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib import resources
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from memoryos.config import Config
from memoryos.doors.locomo import read_locomo
from memoryos.doors.tables import signals_text
from memoryos.engine import MemoryEngine
from memoryos.errors import InputError
from memoryos.inputs import read_draft
from memoryos.storage.scratch_dir import temporary_folder
from memoryos.transfer import read_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from memoryos.generation.responder import Answer
    from memoryos.memory import Memory
    from memoryos.model import PageDraft

__all__ = ["play"]

PARTS = 5
LOCOMO_QUESTIONS = 8
SHOWN_SOURCES = 2
SHOWN_CHARACTERS = 220
_ANY_TIME = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class _Question:
    """A question that the demo asks.

    Attributes:
        text: The question.
        tier: Part of the memory that contains the answer. The demo prints it after the question.
        expected: Texts of which at least one must occur in the answer or in the best recalled pages.
        pages: Number of best recalled pages in which ``expected`` may occur.
    """

    text: str
    tier: str
    expected: tuple[str, ...]
    pages: int = 2


_QUESTIONS = (
    _Question("When is Nora's wedding now?", "short-term memory", ("19 September",)),
    _Question("Which bread book did you recommend to me?", "mid-term memory or assistant knowledge", ("Tartine",)),
    _Question("Who did I run with along the canal?", "mid-term memory", ("Tomas",)),
    _Question("Where do I live?", "the profile; the value changed during the conversation", ("Utrecht",)),
    _Question("What am I allergic to?", "knowledge about the user", ("peanuts",)),
    _Question("What did you promise to remind me of?", "knowledge about the assistant", ("test bake",)),
    _Question(
        "What made me feel better after my hard day at the clinic?", "mid-term memory", ("walk with Biscuit",), pages=3
    ),
    _Question("What is my favourite opera?", "no tier: never mentioned", ("don't remember",)),
)


def play(
    *, data_file: Path | None = None, conversation: int = 1, keep: Path | None = None, console: Console | None = None
) -> bool:
    """Stores a conversation through the public API and asks questions about it.

    Args:
        data_file: A LoCoMo file to use instead of the built-in conversation.
        conversation: Number of the conversation in that file, from 1.
        keep: Folder for the store; default: a temporary folder.
        console: Output; default: stdout.

    Returns:
        True if at most one question failed. Always True for a LoCoMo file, because its questions are harder.

    Raises:
        InputError: If the file can't be read or lacks the conversation, or if ``keep`` already contains a store.
    """
    console = console or Console()
    if data_file is None:
        title, drafts, questions = _own_conversation()
    else:
        title, drafts, questions = _locomo_conversation(data_file, conversation)
    end = drafts[-1].at + timedelta(minutes=5)
    with (
        _folder(keep) as folder,
        MemoryEngine(Config(data_storage_path=folder, background=False), clock=lambda: end) as engine,
    ):
        memory = engine.memory("demo_user", "demo_assistant")
        span = f"{drafts[0].at:%d %B %Y} to {end:%d %B %Y}"
        console.print(
            Panel(f"{title}: {len(drafts)} exchanges, {span}. No key, no LLM, no network.", title="MemoryOS demo")
        )
        _fill(memory, drafts, console)
        _show_long_term(memory, console)
        found = sum([_ask(memory, question, console) for question in questions])
    console.print(f"\n{found} of {len(questions)} questions found the expected answer.")
    return data_file is not None or found >= len(questions) - 1


def _own_conversation() -> tuple[str, list[PageDraft], Sequence[_Question]]:
    with resources.as_file(resources.files("memoryos.doors") / "demo_conversation.jsonl") as file:
        drafts = read_pages(file, now=_ANY_TIME)
    return "Mia and her assistant", drafts, _QUESTIONS


def _locomo_conversation(file: Path, number: int) -> tuple[str, list[PageDraft], Sequence[_Question]]:
    conversations = read_locomo(file)
    if not 1 <= number <= len(conversations):
        raise InputError("conversation", f"{number} is not in the file; choose 1 to {len(conversations)}")
    chosen = conversations[number - 1]
    names = {"user_name": chosen.user_name, "assistant_name": chosen.assistant_name}
    drafts = [read_draft(each.user_text, each.assistant_text, each.at, names, now=each.at) for each in chosen.exchanges]
    answerable = [each for each in chosen.questions if each.category in {1, 2, 4}]
    sample = answerable[:: max(1, len(answerable) // LOCOMO_QUESTIONS)][:LOCOMO_QUESTIONS]
    utterances = {key: text for each in chosen.exchanges for key, text in (
        (each.user_evidence_id, each.user_text), (each.assistant_evidence_id, each.assistant_text))}  # fmt: skip
    questions = [
        _Question(
            text=each.text,
            tier=f"reference answer: {each.answer}; passes if a recalled page contains the evidence",
            expected=tuple(utterances[key] for key in each.evidence if key in utterances),
            pages=10,
        )
        for each in sample
    ]
    return f"{chosen.user_name} and {chosen.assistant_name}", drafts, questions


def _fill(memory: Memory, drafts: Sequence[PageDraft], console: Console) -> None:
    """Stores a conversation in parts, and prints a table with the contents of the memory after each part."""
    table = Table(title="Tiers after each part of the conversation", title_justify="left")
    for column in ("until", "pages", "window", "segments", "hottest", "learned", "facts", "traits"):
        table.add_column(column, justify="left" if column == "until" else "right", no_wrap=True)
    step = -(-len(drafts) // PARTS)
    with console.status("storing the conversation"):
        for start in range(0, len(drafts), step):
            for draft in drafts[start : start + step]:
                names = {"user_name": draft.user_name, "assistant_name": draft.assistant_name}
                known_names = {name: value for name, value in names.items() if value}
                memory.add_memory(draft.user_text, draft.assistant_text, draft.at, known_names)
            memory.flush()
            table.add_row(f"{drafts[min(start + step, len(drafts)) - 1].at:%d %b %Y}", *_counts(memory))
        memory.force_mid_term_analysis()
        table.add_row("after analysis", *_counts(memory))
    console.print(table)


def _counts(memory: Memory) -> list[str]:
    stats = memory.get_memory_stats()
    segments = memory.heat()
    facts = stats["knowledge_about_user"] + stats["knowledge_about_assistant"]
    shown = (
        stats["pages"],
        stats["short_term_pages"],
        stats["segments"],
        f"{segments[0][1]:.1f}" if segments else "–",
        stats["pages_learned"],
        facts,
        stats["traits"],
    )
    return [str(each) for each in shown]


def _show_long_term(memory: Memory, console: Console) -> None:
    profile = memory.profile
    attributes = ", ".join(f"{each.name.replace('_', ' ')} {each.value}" for each in profile.attributes)
    console.print(Text(f"\nProfile: {attributes}"))
    facts = [entry.text for entry in memory.knowledge("user")][:6]
    console.print(Text("Facts, for example: " + "; ".join(facts)))
    for entry in memory.knowledge(None, history=True):
        if entry.superseded_by is not None:
            console.print(Text(f"Superseded fact, kept in the history: {entry.text}"))


def _ask(memory: Memory, question: _Question, console: Console) -> bool:
    answer = memory.get_response(question.text, remember=False)
    shown = " ".join([str(answer), *_shown(answer, question.pages)])
    is_found = any(each.lower() in shown.lower() for each in question.expected)
    console.print(Text(f"\n{question.text}", style="bold"), Text(f"  [{question.tier}]", style="dim"))
    console.print(Text(f"  {'✓' if is_found else '✗'} {answer}"))
    for line in _sources(memory, answer):
        console.print(Text(line, style="dim"))
    return is_found


def _shown(answer: Answer, count: int) -> list[str]:
    return [each.text(side) for each in answer.recall.pages[:count] for side in each.sides]


def _sources(memory: Memory, answer: Answer) -> Iterator[str]:
    sources = [page for page in memory.pages() if page.page_id in answer.sources[:SHOWN_SOURCES]]
    signals = {quote.utterance.page_id: quote.signals for quote in reversed(answer.recall.quotes)}
    for page in sources:
        text = " / ".join(f"{page.speaker(side)}: {page.text(side)}" for side in page.speaking())
        text = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
        yield f"    source: page {page.seq} of {page.day:%d %b %Y}: {text}"
        if page.page_id in signals:
            yield f"    signals: {signals_text(signals[page.page_id])}"


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if (keep / "memoryos.db").exists():
            raise InputError("keep", f"{keep} already contains a store; choose another folder")
        yield keep
        return
    with temporary_folder() as folder:
        yield folder
