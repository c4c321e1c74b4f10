"""The conversation of the inspector tests: a real one if its file exists, else the one of the package's demo."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

from memoryos.doors.locomo import Conversation, read_locomo
from memoryos.inputs import read_draft
from memoryos.memory import Memory
from memoryos.model import PageDraft
from memoryos.transfer import read_pages

LOCOMO = Path(__file__).parents[3] / "shared" / "data" / "locomo-dev.json"
SHORT = 100
_ANY_TIME = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Story:
    """One conversation and a question about it.

    Attributes:
        user_id: The user of the memory.
        assistant_id: The assistant of the memory.
        drafts: The exchanges, oldest first.
        question: A question that one page answers.
        answer_words: Words of that page.
        word: A word that only some of the pages contain.
    """

    user_id: str
    assistant_id: str
    drafts: tuple[PageDraft, ...]
    question: str
    answer_words: str
    word: str

    @property
    def end(self) -> datetime:
        """The current time of the tests: one day after the last exchange."""
        return self.drafts[-1].at + timedelta(days=1)

    def tell(self, memory: Memory, clock: StoryClock) -> None:
        """Adds the conversation to a memory and flushes after each day.

        The pages of a short conversation are also recalled; otherwise no segment gets hot enough to be profiled.
        """
        is_short = len(self.drafts) < SHORT
        for _, drafts in groupby(self.drafts, key=lambda each: each.at.date()):
            for each in drafts:
                clock.show(each.at)
                memory.add_memory(each.user_text, each.assistant_text, each.at, with_names(each))
                if is_short:
                    memory.recall(each.user_text or each.assistant_text)
            clock.show(clock() + timedelta(hours=1))
            memory.flush()
        clock.show(self.end)


class StoryClock:
    """A clock that can be set and then runs at normal speed."""

    def __init__(self, at: datetime) -> None:
        self.show(at)

    def show(self, at: datetime) -> None:
        """Sets the time."""
        self._at, self._set_at = at, time.monotonic()

    def __call__(self) -> datetime:
        """Returns the current time."""
        return self._at + timedelta(seconds=time.monotonic() - self._set_at)


def with_names(draft: PageDraft) -> dict[str, Any]:
    names = {"user_name": draft.user_name, "assistant_name": draft.assistant_name}
    return dict(draft.metadata) | {name: value for name, value in names.items() if value}


@cache
def the_story() -> Story:
    """Returns the conversation of most tests; ``INSPECTOR_STORY=demo`` selects the one of the package's demo."""
    if LOCOMO.exists() and os.environ.get("INSPECTOR_STORY") != "demo":
        return _of_locomo(read_locomo(LOCOMO)[0])
    with resources.as_file(resources.files("memoryos.doors") / "demo_conversation.jsonl") as file:
        drafts = read_pages(file, now=_ANY_TIME)
    return Story("mia", "assistant", tuple(drafts), "Who did I run with along the canal?", "Tomas", "bread")


def _of_locomo(conversation: Conversation) -> Story:
    names = {"user_name": conversation.user_name, "assistant_name": conversation.assistant_name}
    drafts = tuple(
        read_draft(each.user_text, each.assistant_text, each.at, names, now=each.at) for each in conversation.exchanges
    )
    return Story(
        conversation.user_name.lower(),
        conversation.assistant_name.lower(),
        drafts,
        "When did Caroline go to the LGBTQ support group?",
        "LGBTQ support group",
        "adoption",
    )
