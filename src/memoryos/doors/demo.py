"""The demo: a conversation of six weeks goes in, the tiers fill, questions are answered from each of them."""

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
from memoryos.storage.workplace import temporary_folder
from memoryos.transfer import read_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from memoryos.generation.responder import Answer
    from memoryos.memory import Memory
    from memoryos.model import PageDraft

__all__ = ["play"]

REPORTS = 5
LOCOMO_QUESTIONS = 8
SHOWN_SOURCES = 2
SHOWN_CHARACTERS = 220
_ANY_TIME = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class _Question:
    """A question, the tier that holds its answer, and words of which one must be in the answer or the pages shown."""

    text: str
    tier: str
    expected: tuple[str, ...]
    pages: int = 2


_QUESTIONS = (
    _Question("When is Nora's wedding now?", "short-term memory", ("19 September",)),
    _Question("Which bread book did you recommend to me?", "mid-term memory or what the assistant did", ("Tartine",)),
    _Question("Who did I run with along the canal?", "mid-term memory", ("Tomas",)),
    _Question("Where do I live?", "the profile; it changed on the way", ("Utrecht",)),
    _Question("What am I allergic to?", "knowledge about the user", ("peanuts",)),
    _Question("What did you promise to remind me of?", "knowledge about the assistant", ("test bake",)),
    _Question(
        "What made me feel better after my hard day at the clinic?", "mid-term memory", ("walk with Biscuit",), pages=3
    ),
    _Question("What is my favourite opera?", "nothing: it was never said", ("don't remember",)),
)


def play(
    *, data_file: Path | None = None, conversation: int = 1, keep: Path | None = None, console: Console | None = None
) -> bool:
    """Plays a conversation through the public surface and asks questions about it.

    Args:
        data_file: A LoCoMo file to play instead of the conversation written for the demo.
        conversation: Which conversation of that file, from 1.
        keep: Folder for the store; default: a temporary one.
        console: Where to print; default: stdout.

    Returns:
        Whether at least all but one of the questions found what they should; a LoCoMo file is only shown.

    Raises:
        InputError: If the file can't be read, has no such conversation, or the folder has a store already.
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
    console.print(f"\n{found} of {len(questions)} questions found what they should.")
    return data_file is not None or found >= len(questions) - 1


def _own_conversation() -> tuple[str, list[PageDraft], Sequence[_Question]]:
    with resources.as_file(resources.files("memoryos.doors") / "demo_conversation.jsonl") as file:
        drafts = read_pages(file, now=_ANY_TIME)
    return "Mia and her assistant", drafts, _QUESTIONS


def _locomo_conversation(file: Path, number: int) -> tuple[str, list[PageDraft], Sequence[_Question]]:
    conversations = read_locomo(file)
    if not 1 <= number <= len(conversations):
        raise InputError("conversation", f"the file has {len(conversations)} conversations")
    chosen = conversations[number - 1]
    names = {"user_name": chosen.user_name, "assistant_name": chosen.assistant_name}
    drafts = [read_draft(each.user_text, each.assistant_text, each.at, names, now=each.at) for each in chosen.exchanges]
    answerable = [each for each in chosen.questions if each.category in {1, 2, 4}]
    asked = answerable[:: max(1, len(answerable) // LOCOMO_QUESTIONS)][:LOCOMO_QUESTIONS]
    said = {key: text for each in chosen.exchanges for key, text in (
        (each.user_evidence_id, each.user_text), (each.assistant_evidence_id, each.assistant_text))}  # fmt: skip
    questions = [
        _Question(
            text=each.text,
            tier=f"gold answer: {each.answer}; found is its evidence among the recalled pages",
            expected=tuple(said[key] for key in each.evidence if key in said),
            pages=10,
        )
        for each in asked
    ]
    return f"{chosen.user_name} and {chosen.assistant_name}", drafts, questions


def _fill(memory: Memory, drafts: Sequence[PageDraft], console: Console) -> None:
    table = Table(title="The tiers fill", title_justify="left")
    for column in ("until", "pages", "window", "segments", "hottest", "learned", "facts", "traits"):
        table.add_column(column, justify="left" if column == "until" else "right", no_wrap=True)
    step = -(-len(drafts) // REPORTS)
    with console.status("playing the conversation"):
        for start in range(0, len(drafts), step):
            for draft in drafts[start : start + step]:
                names = {"user_name": draft.user_name, "assistant_name": draft.assistant_name}
                given = {name: value for name, value in names.items() if value}
                memory.add_memory(draft.user_text, draft.assistant_text, draft.at, given)
            memory.flush()
            table.add_row(f"{drafts[min(start + step, len(drafts)) - 1].at:%d %b %Y}", *_counts(memory))
        memory.force_mid_term_analysis()
        table.add_row("all read", *_counts(memory))
    console.print(table)


def _counts(memory: Memory) -> list[str]:
    stats = memory.get_memory_stats()
    warmth = memory.heat()
    facts = stats["knowledge_about_user"] + stats["knowledge_about_assistant"]
    shown = (
        stats["pages"],
        stats["short_term_pages"],
        stats["segments"],
        f"{warmth[0][1]:.1f}" if warmth else "–",
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
    console.print(Text("Known, for example: " + "; ".join(facts)))
    for entry in memory.knowledge(None, history=True):
        if entry.superseded_by is not None:
            console.print(Text(f"Superseded and kept in history: {entry.text}"))


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
    return [each.page.text(side) for each in answer.recall.pages[:count] for side in each.shown]


def _sources(memory: Memory, answer: Answer) -> Iterator[str]:
    sources = [page for page in memory.pages() if page.page_id in answer.sources[:SHOWN_SOURCES]]
    why = {quote.utterance.page_id: quote.signals for quote in reversed(answer.recall.quotes)}
    for page in sources:
        said = " / ".join(f"{page.speaker(side)}: {page.text(side)}" for side in page.speaking())
        said = said if len(said) <= SHOWN_CHARACTERS else f"{said[:SHOWN_CHARACTERS]}…"
        yield f"    source: page {page.seq} of {page.at:%d %b %Y}: {said}"
        if page.page_id in why:
            yield f"    why: {signals_text(why[page.page_id])}"


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if (keep / "memoryos.db").exists():
            raise InputError("keep", f"{keep} has a store already")
        yield keep
        return
    with temporary_folder() as folder:
        yield folder
