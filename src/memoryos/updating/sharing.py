"""Shares facts about the assistant between users. This happens only by an explicit call."""

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
    """Copies current facts about the assistant into another scope.

    The copies have no source pages, so they do not identify the user from whose conversations the facts came. A fact is
    not copied if the target scope already has a fact with the same text.

    Args:
        store: The store of both scopes.
        source_id: Id of the scope to copy from.
        target_id: Id of the scope to copy to.
        knowledge_ids: Ids of facts about the assistant.
        now: Recording time of the copies.

    Returns:
        The new facts, in the order of ``knowledge_ids``.

    Raises:
        InputError: If a fact is about the user. Such facts are never shared; nothing was copied.
        NotFoundError: If an id does not belong to a current fact of the source scope; nothing was copied.
    """
    current = {entry.knowledge_id: entry for entry in store.long_term.knowledge(source_id, now)}
    missing = [each for each in knowledge_ids if each not in current]
    if missing:
        raise NotFoundError(
            f"nothing was shared, because no current fact has the knowledge_id {missing[0]!r}; list the current facts"
        )
    chosen = [current[each] for each in dict.fromkeys(knowledge_ids)]
    if any(entry.about != "assistant" for entry in chosen):
        raise InputError("knowledge_ids", "contains a fact about the user; pass only facts about the assistant")
    known = {fold(entry.text) for entry in store.long_term.knowledge(target_id, now)}
    copies = [
        replace(
            entry,
            knowledge_id=new_id(),
            recorded_at=now,
            source_page_ids=(),
            replaces=(),
            conflicts_with=(),
            origin=SHARED,
            reading_id=None,
        )
        for entry in chosen
        if fold(entry.text) not in known
    ]
    store.long_term.add(target_id, copies)
    return copies
