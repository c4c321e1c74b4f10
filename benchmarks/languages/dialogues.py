"""Reads the labelled dialogues: two sets with one file per language, each a fictional person's chats with an assistant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

__all__ = ["DATA", "KINDS", "LANGUAGES", "SETS", "Dialogue", "LabelledPage", "Question", "Side", "read_dialogue"]

Side = Literal["user", "assistant", "either"]

DATA = Path(__file__).parent / "data"
SETS = {"first": DATA, "held-out": Path(__file__).parent / "held_out"}
"""Folders by name: the set that ranking was worked on with, and the one kept for checking it afterwards."""
LANGUAGES = ("en", "nl", "ja", "pt", "vi", "zh")
KINDS = ("paraphrase", "relative_date", "update", "distractor", "multi", "name", "number", "short")
"""What makes a question hard; the README of the folder says what each kind means."""


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """One exchange; ``at`` has the UTC offset of the person's local time."""

    page_id: str
    at: datetime
    user: str
    assistant: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its time, and the pages that together contain its answer.

    ``side`` is the side with the answer; a page counts as found when 60% of that side's content words are shown. "either": both sides contain it.
    """

    text: str
    asked_at: datetime
    evidence: tuple[str, ...]
    side: Side
    kind: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The pages of one person in one language, in time order, and the questions about them."""

    language: str
    pages: tuple[LabelledPage, ...]
    questions: tuple[Question, ...]


def read_dialogue(language: str, folder: Path = DATA) -> Dialogue:
    """Returns the dialogue of one language.

    Raises:
        FileNotFoundError: If the language has no file.
        KeyError: If a field is missing.
    """
    found = json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))
    return Dialogue(
        found["language"],
        tuple(
            LabelledPage(each["id"], datetime.fromisoformat(each["at"]), each["user"], each["assistant"])
            for each in found["pages"]
        ),
        tuple(map(_question, found["questions"])),
    )


def _question(each: dict[str, Any]) -> Question:
    asked_at = datetime.fromisoformat(each["asked_at"])
    return Question(each["text"], asked_at, tuple(each["evidence"]), each["side"], each["kind"])
