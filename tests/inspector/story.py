"""The conversations that the inspector shows in its tests: real ones where they are there, else the package's own."""

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
    """One conversation and what can be asked about it.

    Attributes:
        user_id: The user in whose memory it is.
        assistant_id: The assistant.
        drafts: What was said, oldest first.
        question: A question that a page answers.
        told: Words of that page.
        word: A word that some pages hold, and others don't.
    """

    user_id: str
    assistant_id: str
    drafts: tuple[PageDraft, ...]
    question: str
    told: str
    word: str

    @property
    def end(self) -> datetime:
        """The time at which the story is looked at: a day after its last exchange."""
        return self.drafts[-1].at + timedelta(days=1)

    def tell(self, memory: Memory, clock: StoryClock) -> None:
        """Lives through the conversation: after each of its days what was said is consolidated.

        A short one leaves no segment hot enough to be learned from; it is recalled then, as an assistant does.
        """
        is_short = len(self.drafts) < SHORT
        for _, drafts in groupby(self.drafts, key=lambda each: each.at.date()):
            said = list(drafts)
            for each in said:
                clock.show(each.at)
                memory.add_memory(each.user_text, each.assistant_text, each.at, with_names(each))
                if is_short:
                    memory.recall(each.user_text or each.assistant_text)
            clock.show(clock() + timedelta(hours=1))
            memory.flush()
        clock.show(self.end)


class StoryClock:
    """A clock that shows what it is told, and goes on from there as any clock does."""

    def __init__(self, at: datetime) -> None:
        self.show(at)

    def show(self, at: datetime) -> None:
        """Sets it."""
        self._at, self._set_at = at, time.monotonic()

    def __call__(self) -> datetime:
        """Returns its time."""
        return self._at + timedelta(seconds=time.monotonic() - self._set_at)


def with_names(draft: PageDraft) -> dict[str, Any]:
    names = {"user_name": draft.user_name, "assistant_name": draft.assistant_name}
    return dict(draft.metadata) | {name: value for name, value in names.items() if value}


@cache
def the_story() -> Story:
    """Returns the conversation that most tests look at; ``INSPECTOR_STORY=demo`` takes the package's own."""
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
