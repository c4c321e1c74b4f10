"""The embedding step: computes missing vectors of passages and facts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from memoryos.errors import DimensionMismatchError
from memoryos.language.passages import MAX_EMBEDDED_PASSAGES, passage_texts, vector_model
from memoryos.storage.vector_table import UtteranceVectors
from memoryos.updating.language_support import LanguageSupport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from memoryos.config import Config
    from memoryos.model import Page
    from memoryos.seams import Embedder
    from memoryos.storage.lease import Lease
    from memoryos.storage.store import Store

__all__ = ["EmbeddingStep"]

PAGES_PER_READ = 16
MAX_PAGES_PER_STEP = 192
"""Usually 384 utterances. The embedder sorts their texts by length, so that batches need little padding."""
MAX_CHARACTERS_PER_STEP = 64_000
"""Maximum length of all texts of a step with several pages. The built-in model embeds them in less than a second."""
STEP_SECONDS = 1.0
"""Target duration of a step. A slow embedder gets fewer pages, because a step is never interrupted."""
KNOWLEDGE_PER_STEP = 64


class EmbeddingStep:
    """Embeds the passages of pages, and facts, in batches whose size adapts to the speed of the embedder.

    After a change of the embedder or of the passage cutter, new vectors replace the old ones page by page. Until all
    pages of a scope have new vectors, its pages are found by their words.
    """

    def __init__(self, store: Store, embedder: Embedder, config: Config) -> None:
        self._store = store
        self._embedder = embedder
        self._model = vector_model(embedder.name)
        self._language_support = LanguageSupport(embedder, config)
        self._pages_per_step = PAGES_PER_READ

    def has_pages(self, scope_id: str) -> bool:
        """Returns whether the scope has at least one page without vectors."""
        return bool(self._store.log.unembedded(scope_id, self._model, 1))

    def is_due(self, scope_id: str) -> bool:
        """Returns whether the scope has at least one page or fact without vectors."""
        return self.has_pages(scope_id) or bool(self._store.vectors.unembedded_knowledge(scope_id, self._model, 1))

    def take(self, lease: Lease) -> bool:
        """Embeds the next batch of pages or knowledge entries; returns False if there was none.

        Raises:
            EmbeddingError: If the embedder failed; the batch stays due.
        """
        pages = self._next_pages(lease.scope_id)
        if pages:
            self._embed_pages(lease, pages)
            self._language_support.warn_once(pages)
            return True
        entries = self._store.vectors.unembedded_knowledge(lease.scope_id, self._model, KNOWLEDGE_PER_STEP)
        if entries:
            matrix = self._embed([text for _, text in entries])
            ids = [knowledge_id for knowledge_id, _ in entries]
            self._store.vectors.save_knowledge(lease, self._model, list(zip(ids, matrix, strict=True)))
        return bool(entries)

    def _next_pages(self, scope_id: str) -> list[Page]:
        """Returns the oldest pages without vectors, up to the limits of a step; [] if there is none."""
        pages: list[Page] = []
        characters = 0
        while True:
            after_seq = pages[-1].seq if pages else 0
            more = self._store.log.unembedded(scope_id, self._model, PAGES_PER_READ, after_seq=after_seq)
            for page in more:
                characters += len(page.user_text) + len(page.assistant_text)
                if pages and characters > MAX_CHARACTERS_PER_STEP:
                    return pages
                pages.append(page)
            if len(pages) >= self._pages_per_step or len(more) < PAGES_PER_READ:
                return pages

    def _adapt(self, pages: int, seconds: float) -> None:
        """Chooses the number of pages of the next step from the duration of this one."""
        if seconds > STEP_SECONDS:
            self._pages_per_step = max(self._pages_per_step // 2, PAGES_PER_READ)
        elif pages >= self._pages_per_step and seconds < STEP_SECONDS / 2:
            self._pages_per_step = min(self._pages_per_step * 2, MAX_PAGES_PER_STEP)

    def _embed_pages(self, lease: Lease, pages: Sequence[Page]) -> None:
        started = time.monotonic()
        utterances = [utterance for page in pages for utterance in page.utterances()]
        texts = [passage_texts(utterance.text)[:MAX_EMBEDDED_PASSAGES] for utterance in utterances]
        matrix = self._embed([text for each in texts for text in each])
        self._adapt(len(pages), time.monotonic() - started)
        parts = np.split(matrix, np.cumsum([len(each) for each in texts])[:-1])
        vectors = [
            UtteranceVectors(utterance.page_id, utterance.seq, utterance.side, part)
            for utterance, part in zip(utterances, parts, strict=True)
        ]
        page_ids = [page.page_id for page in pages]
        self._store.vectors.save_pages(lease, self._model, page_ids, vectors)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        matrix = self._embedder.embed(texts)
        if matrix.shape != (len(texts), self._embedder.dimensions):
            raise DimensionMismatchError(self._embedder.dimensions, matrix.shape[-1])
        return matrix
