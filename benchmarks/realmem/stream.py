"""Reads RealMem: exchanges in the order of the conversation, each with the question that is asked before it is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

__all__ = ["Exchange", "Persona", "Question", "read_personas"]

TURN_INTERVAL = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the stream, with the facts that a good reply needs.

    Attributes:
        question_id: Its id in the data file.
        text: The user's words.
        category: Kind of question, as the data file names it.
        session_id: The session in which it is asked.
        facts: Texts of the facts.
    """

    question_id: str
    text: str
    category: str
    session_id: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user's turn and the assistant's reply; one of them may be empty.

    Attributes:
        at: Time of the user's turn.
        session_id: The session that contains it.
        user: The user's text.
        assistant: The assistant's text.
        user_id: Id of the user's turn in the data file; "" without one.
        assistant_id: The same for the assistant's turn.
        questions: Questions that are asked before this exchange is stored.
        ends_session: Whether it is the last exchange of its session.
    """

    at: datetime
    session_id: str
    user: str
    assistant: str
    user_id: str
    assistant_id: str
    questions: tuple[Question, ...]
    ends_session: bool


@dataclass(frozen=True, slots=True)
class Persona:
    """One user and the exchanges with the assistant, oldest first."""

    name: str
    exchanges: tuple[Exchange, ...]


def read_personas(file: Path) -> Iterator[Persona]:
    """Yields each persona of a file in the format of ``realmem-dev.jsonl``.

    The data has dates only: the sessions of a day are spread evenly over it, with one minute between two turns.

    Raises:
        ValueError: If a question is asked at a turn that does not exist.
    """
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield _persona(json.loads(line))


def _persona(found: dict[str, Any]) -> Persona:
    asked: dict[str, list[dict[str, Any]]] = {}
    for each in found["questions"]:
        asked.setdefault(each["asked_at"], []).append(each)
    times = _session_times([each["date"] for each in found["sessions"]])
    exchanges: list[Exchange] = []
    for session, start in zip(found["sessions"], times, strict=True):
        exchanges += _exchanges(session, start, asked)
    if asked:
        raise ValueError(f"{found['id']}: questions are asked at unknown turns {sorted(asked)}")
    return Persona(found["id"], tuple(exchanges))


def _session_times(dates: Sequence[str]) -> Iterator[datetime]:
    counts = Counter(dates)
    seen: Counter[str] = Counter()
    for date in dates:
        midnight = datetime.fromisoformat(date).replace(tzinfo=timezone.utc)
        yield midnight + timedelta(days=1) * (seen[date] + 0.5) / counts[date]
        seen[date] += 1


def _exchanges(session: dict[str, Any], start: datetime, asked: dict[str, list[dict[str, Any]]]) -> Iterator[Exchange]:
    """Yields the exchanges of a session and removes their questions from ``asked``."""
    turns = [{**turn, "at": start + place * TURN_INTERVAL} for place, turn in enumerate(session["turns"])]
    pairs = list(_pairs(turns))
    for place, pair in enumerate(pairs):
        texts = {turn["role"]: turn["text"] for turn in pair}
        turn_ids = {turn["role"]: turn["id"] for turn in pair}
        yield Exchange(
            at=pair[0]["at"],
            session_id=session["id"],
            user=texts.get("user", ""),
            assistant=texts.get("assistant", ""),
            user_id=turn_ids.get("user", ""),
            assistant_id=turn_ids.get("assistant", ""),
            questions=tuple(_question(each, session["id"]) for turn in pair for each in asked.pop(turn["id"], ())),
            ends_session=place == len(pairs) - 1,
        )


def _pairs(turns: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], ...]]:
    """Yields each user's turn with the reply after it; a turn without a counterpart is alone."""
    place = 0
    while place < len(turns):
        roles = [each["role"] for each in turns[place : place + 2]]
        count = 2 if roles == ["user", "assistant"] else 1
        yield tuple(turns[place : place + count])
        place += count


def _question(found: dict[str, Any], session_id: str) -> Question:
    return Question(found["id"], found["text"], found["category"], session_id, tuple(found["facts"]))
