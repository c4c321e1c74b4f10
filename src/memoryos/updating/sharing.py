"""Sharing: what one user taught the assistant reaches another user only by this explicit call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memoryos.errors import InputError, NotFoundError
from memoryos.identifiers import new_id
from memoryos.language.text import fold
from memoryos.model import SHARED, Knowledge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from memoryos.storage.store import Store

__all__ = ["share_assistant_knowledge"]


def share_assistant_knowledge(
    store: Store, source_id: str, target_id: str, knowledge_ids: Sequence[str], now: datetime
) -> list[Knowledge]:
    """Copies current facts about the assistant into another scope, without their pages: nothing says whose they were.

    What the other scope knows already, word for word, is not copied twice.

    Returns:
        The new entries, in the order given.

    Raises:
        InputError: If an entry is about the user: that is never shared.
        NotFoundError: If an entry is not current in the source; nothing was shared.
    """
    current = {entry.knowledge_id: entry for entry in store.long_term.knowledge(source_id)}
    missing = [each for each in knowledge_ids if each not in current]
    if missing:
        raise NotFoundError(f"no current knowledge {missing[0]}; nothing was shared")
    chosen = [current[each] for each in dict.fromkeys(knowledge_ids)]
    if any(entry.about != "assistant" for entry in chosen):
        raise InputError("knowledge_ids", "names a fact about the user; only facts about the assistant are shared")
    known = {fold(entry.text) for entry in store.long_term.knowledge(target_id)}
    copies = [
        replace(entry, knowledge_id=new_id(), recorded_at=now, source_page_ids=(), origin=SHARED)
        for entry in chosen
        if fold(entry.text) not in known
    ]
    store.long_term.add(target_id, copies)
    return copies
