"""Reads the observations of LoCoMo: facts about both speakers, with the ids of the turns that state them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.recorded import Record, RecordedFact
from memoryos.doors.locomo import Conversation
from memoryos.model import SIDES

__all__ = ["read_observations"]

_TURN_ID = re.compile(r"D\d+:\d+")


def read_observations(file: Path, conversations: Sequence[Conversation]) -> Record:
    """Returns the observations of a LoCoMo file that refer to turns of its conversations.

    Args:
        file: The LoCoMo file.
        conversations: The conversations of the file, as ``read_locomo`` returns them.
    """
    samples = json.loads(file.read_text(encoding="utf-8"))
    record = Record()
    for conversation, sample in zip(conversations, samples, strict=True):
        record.add(conversation.name, _usable(conversation, sample, record))
    return record


def _usable(conversation: Conversation, sample: dict[str, Any], record: Record) -> Iterator[RecordedFact]:
    """Yields the facts of a conversation and counts those that can't be replayed."""
    turn_ids = [each for it in conversation.exchanges for each in (it.user_evidence_id, it.assistant_evidence_id)]
    places = {turn_id: place for place, turn_id in enumerate(turn_ids)}
    sides = dict(zip((conversation.user_name, conversation.assistant_name), SIDES, strict=True))
    for session in sample.get("observation", {}).values():
        for speaker, entries in session.items():
            for entry in entries:
                text, *sources = entry if isinstance(entry, list) and entry else [None]
                source_ids = _TURN_ID.findall(json.dumps(sources))
                known = sorted({*source_ids} & {*places}, key=places.__getitem__)
                if not isinstance(text, str) or not text.strip():
                    record.unusable["without a text"] += 1
                elif speaker not in sides:
                    record.unusable["of an unknown speaker"] += 1
                elif not known:
                    record.unusable["without a source page"] += 1
                else:
                    yield RecordedFact(text, tuple(known), sides[speaker])
