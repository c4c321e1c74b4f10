"""Keeps the facts of one scope in memory, and reads only the changed ones from the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from memoryos.current_facts import is_lasting, next_change, view_facts
from memoryos.language.text import search_terms
from memoryos.retrieval.snapshot import LongTermSnapshot
from memoryos.retrieval.words import WordIndex

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from memoryos.current_facts import RepetitionKey
    from memoryos.model import Knowledge
    from memoryos.storage.store import Store

__all__ = ["LongTermReader"]


class LongTermReader:
    """Produces snapshots of the long-term memory of one scope. Not thread-safe; useless after an exception.

    Facts are never deleted while the object exists: a deletion makes the working set read the whole scope again.

    Args:
        store: The store.
        scope_id: Id of the scope.
        model: Name of the embedder whose vectors are read.
        dimensions: Length of its vectors.
        lasting_facts_only: Whether snapshots contain only the lasting facts.
    """

    def __init__(self, store: Store, scope_id: str, model: str, dimensions: int, *, lasting_facts_only: bool) -> None:
        self._store = store
        self._scope_id = scope_id
        self._model = model
        self._dimensions = dimensions
        self._lasting_facts_only = lasting_facts_only
        self._revision = -1
        self._facts: dict[str, Knowledge] = {}
        self._keys: dict[str, RepetitionKey] = {}
        self._terms: dict[str, list[str]] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def read(self, revision: int, now: datetime) -> LongTermSnapshot:
        """Reads the facts and vectors that changed, and returns the current facts and the profile.

        Args:
            revision: Revision of the scope, up to which the facts are complete.
            now: The current time, which determines the current facts.

        Raises:
            StoreError: If the store can't be read.
        """
        for each in self._store.long_term.facts(self._scope_id, after_revision=self._revision):
            self._facts[each.knowledge_id] = each
            self._keys.pop(each.knowledge_id, None)
            self._terms.pop(each.knowledge_id, None)
            self._vectors.pop(each.knowledge_id, None)
        self._revision = revision
        view = view_facts(self._facts.values(), now, keys=self._keys)
        knowledge = view.current
        if self._lasting_facts_only:
            hot_ids = self._store.log.profiled_ids(self._scope_id)
            knowledge = tuple(each for each in knowledge if is_lasting(each, hot_ids))
        traits = self._store.long_term.traits(self._scope_id).of("user")
        words = WordIndex()
        words.add(map(self._terms_of, knowledge))
        return LongTermSnapshot(
            profile=replace(traits, attributes=view.attributes()),
            knowledge=knowledge,
            history=view.history,
            words=words.snapshot(),
            vectors=self._vectors_of(knowledge),
            read_at=now,
            next_change=next_change(view.history, now),
        )

    def _terms_of(self, fact: Knowledge) -> list[str]:
        terms = self._terms.get(fact.knowledge_id)
        if terms is None:
            terms = self._terms[fact.knowledge_id] = list(search_terms(fact.text))
        return terms

    def _vectors_of(self, knowledge: tuple[Knowledge, ...]) -> NDArray[np.float32]:
        missing = [each.knowledge_id for each in knowledge if each.knowledge_id not in self._vectors]
        self._vectors |= self._store.vectors.of_knowledge(self._scope_id, self._model, missing)
        matrix = np.zeros((len(knowledge), self._dimensions), np.float32)
        for row, each in enumerate(knowledge):
            vector = self._vectors.get(each.knowledge_id)
            if vector is not None:
                matrix[row] = vector
        return matrix
