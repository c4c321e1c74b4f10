"""Reads the memories of RealMem: facts about a persona and the projects, with the id of the turn that states them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.recorded import Record, RecordedFact

if TYPE_CHECKING:
    from memoryos.model import FactKind, FactStatus

__all__ = ["read_memories"]

_TAG = re.compile(r"\s*【([^】]*)】\s*")
_KINDS: tuple[tuple[re.Pattern[str], FactKind], ...] = (
    (
        re.compile(r"(?:the )?user (?:strongly )?(?:prefers|likes|dislikes|values|enjoys|loves|hates|avoids)\b"),
        "preference",
    ),
    (re.compile(r"(?:the )?user (?:plans|intends|will|wants|aims)\b"), "plan"),
    (
        re.compile(r"(?:the )?user (?:has )?(?:chosen?|decided|confirm(?:s|ed)|agree[sd]|accepted|approved)\b"),
        "decision",
    ),
    (re.compile(r"(?:the )?(?:ai|assistant) (?:has )?(?:proposed|suggested|recommended|advised)\b"), "advice"),
    (re.compile(r"(?:the )?(?:ai|assistant) will\b"), "promise"),
)
"""The kind of a memory by its first words, in lower case and without the tag."""
_PLAN_TAG = re.compile(r"\b(?:plan|planning|schedule|scheme|roadmap|outline|syllabus)\b")
_STATUSES: dict[str, FactStatus] = {
    "postponed": "paused",
    "paused": "paused",
    "cancelled": "dropped",
    "completed": "done",
}
_STATUS = re.compile(rf"\(({'|'.join(_STATUSES)})\)")


def read_memories(file: Path) -> Record:
    """Returns the memories of a file in the format of ``realmem-dev.jsonl``.

    The data names no kinds. They are derived from the tag and the first words of a memory. A memory without a turn
    appears at the end of its session.
    """
    record = Record()
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip():
            for session in json.loads(line)["sessions"]:
                record.add("", _usable(session, record))
    return record


def _usable(session: dict[str, Any], record: Record) -> Iterator[RecordedFact]:
    """Yields the facts of a session and counts those that can't be replayed."""
    turn_ids = [turn["id"] for turn in session["turns"]]
    for memory in session["memories"]:
        text, turn_id = memory.get("text"), memory.get("turn")
        if turn_id is None and turn_ids:
            turn_id = turn_ids[-1]
        if not isinstance(text, str) or not text.strip():
            record.unusable["without a text"] += 1
        elif turn_id not in turn_ids:
            record.unusable["without a source page"] += 1
        else:
            yield _fact(text, turn_id)


def _fact(text: str, turn_id: str) -> RecordedFact:
    """Returns a memory with its kind and status. A plan or promise without a stated status is open."""
    lower = text.lower()
    tag = _TAG.match(lower)
    rest = lower[tag.end() :] if tag else lower
    stated = _STATUS.search(lower)
    is_plan = stated is not None or (tag is not None and _PLAN_TAG.search(tag[1]) is not None)
    kind: FactKind = next((kind for pattern, kind in _KINDS if pattern.match(rest)), "plan" if is_plan else "fact")
    status: FactStatus | None = _STATUSES[stated[1]] if stated else "open"
    return RecordedFact(text, (turn_id,), kind=kind, status=status if kind in {"plan", "promise"} else None)
