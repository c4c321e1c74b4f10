"""Reads files of the LoCoMo dataset (Maharana et al. 2024), which contain long dialogues and questions about them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dateutil import parser

from memoryos.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["CATEGORIES", "Conversation", "Exchange", "LocomoQuestion", "read_locomo"]

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
_EVIDENCE = re.compile(r"D\d+:\d+")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange of a dialogue, with the dataset's ids of both utterances.

    A missing utterance has the text "" and the id "".
    """

    user_text: str
    assistant_text: str
    at: datetime
    user_evidence_id: str
    assistant_evidence_id: str


@dataclass(frozen=True, slots=True)
class LocomoQuestion:
    """A question with its answer, its category (a key of ``CATEGORIES``), and the ids of utterances with the answer."""

    text: str
    answer: str
    category: int
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One dialogue in time order. Consecutive utterances of the same speaker are separate exchanges."""

    name: str
    user_name: str
    assistant_name: str
    exchanges: tuple[Exchange, ...]
    questions: tuple[LocomoQuestion, ...]


def read_locomo(file: Path, *, captions: bool = True) -> list[Conversation]:
    """Returns the conversations of a LoCoMo file.

    Args:
        file: The JSON file.
        captions: Whether to append the caption of a shared photo to the text as "[photo: …]".

    Raises:
        InputError: If the file can't be read or is not in LoCoMo format.
    """
    try:
        samples = json.loads(file.read_text(encoding="utf-8"))
        return [_conversation(sample, captions=captions) for sample in samples]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("data", f"{file} can't be read as a LoCoMo file: {type(error).__name__}: {error}") from error


def _conversation(sample: dict[str, Any], *, captions: bool) -> Conversation:
    dialogue = sample["conversation"]
    questions = tuple(
        LocomoQuestion(
            text=each["question"],
            answer=str(each.get("answer", each.get("adversarial_answer", ""))),
            category=each["category"],
            evidence=frozenset(_EVIDENCE.findall(" ".join(each["evidence"]))),
        )
        for each in sample["qa"]
    )
    user, assistant = dialogue["speaker_a"], dialogue["speaker_b"]
    return Conversation(
        name=str(sample.get("sample_id", user)),
        user_name=user,
        assistant_name=assistant,
        exchanges=tuple(_exchanges(dialogue, user, captions=captions)),
        questions=questions,
    )


def _exchanges(dialogue: dict[str, Any], user: str, *, captions: bool) -> Iterator[Exchange]:
    number = 1
    while f"session_{number}" in dialogue:
        at = parser.parse(dialogue[f"session_{number}_date_time"].replace(" on ", " ")).replace(tzinfo=timezone.utc)
        pending: tuple[str, str] | None = None
        for turn in dialogue[f"session_{number}"]:
            text = turn["text"]
            if captions and turn.get("blip_caption"):
                text = f"{text} [photo: {turn['blip_caption']}]"
            if turn["speaker"] == user:
                if pending is not None:
                    yield Exchange(pending[0], "", at, pending[1], "")
                pending = text, turn["dia_id"]
            else:
                user_text, user_evidence_id = pending or ("", "")
                yield Exchange(user_text, text, at, user_evidence_id, turn["dia_id"])
                pending = None
        if pending is not None:
            yield Exchange(pending[0], "", at, pending[1], "")
        number += 1
