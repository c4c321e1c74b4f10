"""The retriever: one way from a query to what is remembered, whatever the database (§3.4)."""

from __future__ import annotations

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from memoryos.errors import DimensionMismatchError
from memoryos.model import ABOUT, SIDES, Utterance
from memoryos.optional_methods import CompleteEmbedder
from memoryos.retrieval.packing import PackedPage, Shelves, pack_pages, pack_tokens
from memoryos.retrieval.question import read_question
from memoryos.retrieval.ranking import rank, rank_entries
from memoryos.retrieval.recall import Quote, Recall, RecalledKnowledge, RecalledPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.config import Config, RankingWeights
    from memoryos.model import Page
    from memoryos.retrieval.question import Question
    from memoryos.retrieval.ranking import Corpus, Ranking
    from memoryos.retrieval.working_set import WorkingSet
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Embedder
    from memoryos.storage.store import Store

__all__ = ["Retriever"]

QUOTES = 5
SHARPENED = 200
"""So many of the best utterances by estimated cosines get exact ones, where vectors are not in memory (ADR 13)."""
UNREAD_SHARE = 0.25
"""What is left of the weight of meaning for a question in a language that the model does not know (ADR 11)."""


class Retriever:
    """Ranks everything of a scope for a query and packs the best of it. Writes nothing."""

    def __init__(self, store: Store, embedder: Embedder, working_sets: WorkingSets, config: Config) -> None:
        self._store = store
        self._embedder = CompleteEmbedder(embedder)
        self._working_sets = working_sets
        self._config = config
        self._is_warm = False

    def recall(
        self,
        scope_id: str,
        query: str,
        *,
        now: datetime,
        max_pages: int | None = None,
        max_tokens: int | None = None,
        ranking: RankingWeights | None = None,
        near_misses: int = 0,
        short_term_capacity: int | None = None,
    ) -> Recall:
        """Returns what is remembered for a query.

        Args:
            scope_id: Whose memory.
            query: The question, checked.
            now: What "yesterday" in the query is relative to.
            max_pages: Pages at most; default: ``retrieval_queue_capacity``, unless ``max_tokens`` is given.
            max_tokens: Estimated tokens of the pages at most.
            ranking: What each signal counts; default: as the settings say.
            near_misses: Number of next-best pages to report in ``Recall.near_misses``.
            short_term_capacity: Number of newest pages to show as short-term memory instead of ranking them; default:
                as the settings say.

        Raises:
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        window = self._config.short_term_capacity if short_term_capacity is None else short_term_capacity
        with self._warming(query):
            working_set = self._working_sets.get(scope_id)
        question = read_question(query, speakers=working_set.speaker_names, now=now)
        vector = self._embedder.embed_queries([question.dense_text])[0]
        if vector.shape != (self._embedder.dimensions,):
            raise DimensionMismatchError(self._embedder.dimensions, vector.shape[-1])
        weights = self._weights(ranking or self._config.ranking, question)
        with working_set.lock:
            corpus = working_set.corpus()
            weighed = weights.model_copy(update={"meaning": 0.0}) if working_set.is_switching else weights
            ranked = self._rank(working_set, corpus, question, vector, weighed)
            found = self._pack(working_set, corpus, ranked, max_pages, max_tokens, near_misses, window)
            knowledge = self._rank_knowledge(working_set, question, vector, weights)
            profile = working_set.profile
        pages = self._store.log.at(scope_id, found.seqs())
        found = found.without({*found.seqs()} - pages.keys())
        return Recall(
            query=query,
            pages=tuple(found.page(each, pages) for each in found.packed),
            knowledge=knowledge,
            profile=profile,
            short_term=tuple(pages[seq] for seq in found.window),
            quotes=tuple(found.quote(index, pages) for index in found.quoted),
            near_misses=tuple(found.page(each, pages) for each in found.missed),
            tokens=math.ceil(found.tokens),
        )

    def _weights(self, weights: RankingWeights, question: Question) -> RankingWeights:
        known = self._embedder.languages
        if known is None or question.language is None or question.language in known:
            return weights
        return weights.model_copy(update={"meaning": weights.meaning * UNREAD_SHARE})

    @contextlib.contextmanager
    def _warming(self, query: str) -> Iterator[None]:
        """Loads the model beside the working set at the first recall; what fails fails again where it is needed."""
        if self._is_warm:
            yield
            return
        self._is_warm = True
        with ThreadPoolExecutor(1, thread_name_prefix="memoryos-model") as executor:
            executor.submit(self._embedder.embed_queries, [query])
            yield

    def _rank(
        self,
        working_set: WorkingSet,
        corpus: Corpus,
        question: Question,
        vector: NDArray[np.float32],
        weights: RankingWeights,
    ) -> Ranking:
        gate = self._gate(working_set, vector)
        cosines = working_set.cosines(vector)
        ranked = rank(corpus, question, cosines, weights, gate=gate)
        if working_set.is_exact:
            return ranked
        sharpened = working_set.sharpened(cosines, vector, ranked.order[:SHARPENED])
        return rank(corpus, question, sharpened, weights, gate=gate)

    def _gate(self, working_set: WorkingSet, vector: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        if self._config.segment_gate is None:
            return None
        return working_set.segments.nearest(vector, self._config.segment_gate)

    def _pack(
        self,
        working_set: WorkingSet,
        corpus: Corpus,
        ranking: Ranking,
        max_pages: int | None,
        max_tokens: int | None,
        near_misses: int,
        window: int,
    ) -> _Found:
        seqs = working_set.page_seqs
        slid_out = max(0, len(seqs) - window)
        shelves = Shelves(corpus.pages, working_set.tokens, corpus.seconds, slid_out)
        order = ranking.order
        if max_tokens is None:
            packed, tokens = pack_pages(order, shelves, max_pages or self._config.retrieval_queue_capacity)
        else:
            packed, tokens = pack_tokens(order, shelves, max_tokens, max_pages)
        taken = {each.page for each in packed}
        others = (index for index in order if int(corpus.pages[index]) not in taken)
        missed = pack_pages(others, shelves, near_misses)[0] if near_misses else []
        return _Found(
            packed=packed,
            missed=missed,
            tokens=tokens,
            quoted=order[:QUOTES].tolist(),
            window=[int(seq) for seq in seqs[shelves.shown_already :]],
            corpus=corpus,
            ranking=ranking,
            seqs_of_pages=seqs,
        )

    def _rank_knowledge(
        self, working_set: WorkingSet, question: Question, vector: NDArray[np.float32], weights: RankingWeights
    ) -> tuple[RecalledKnowledge, ...]:
        entries = working_set.knowledge
        if not entries:
            return ()
        ranking = rank_entries(working_set.knowledge_vectors, working_set.knowledge_words, vector, question, weights)
        recalled: list[RecalledKnowledge] = []
        for about in ABOUT:
            best = [index for index in ranking.order.tolist() if entries[index].about == about]
            recalled += [
                RecalledKnowledge(entries[index], float(ranking.scores[index]), ranking.signals(index))
                for index in best[: self._config.knowledge_recalled]
            ]
        return tuple(recalled)


@dataclass(frozen=True, slots=True)
class _Found:
    packed: list[PackedPage]
    missed: list[PackedPage]
    tokens: float
    quoted: list[int]
    window: list[int]
    corpus: Corpus
    ranking: Ranking
    seqs_of_pages: NDArray[np.int64]

    def without(self, forgotten: set[int]) -> _Found:
        """Returns the same without pages that were forgotten while they were looked up."""
        if not forgotten:
            return self
        return replace(
            self,
            packed=[each for each in self.packed if int(self.seqs_of_pages[each.page]) not in forgotten],
            missed=[each for each in self.missed if int(self.seqs_of_pages[each.page]) not in forgotten],
            quoted=[each for each in self.quoted if int(self.seqs_of_pages[self.corpus.pages[each]]) not in forgotten],
            window=[seq for seq in self.window if seq not in forgotten],
        )

    def seqs(self) -> set[int]:
        numbers = [each.page for each in (*self.packed, *self.missed)] + [
            int(self.corpus.pages[index]) for index in self.quoted
        ]
        return {int(self.seqs_of_pages[number]) for number in numbers} | set(self.window)

    def page(self, packed: PackedPage, pages: dict[int, Page]) -> RecalledPage:
        return RecalledPage(
            page=pages[int(self.seqs_of_pages[packed.page])],
            shown=tuple(SIDES[self.corpus.sides[index]] for index in packed.shown),
            score=float(self.ranking.scores[packed.best]),
            signals=self.ranking.signals(packed.best),
            cosine=float(self.ranking.cosines[packed.best]),
        )

    def quote(self, index: int, pages: dict[int, Page]) -> Quote:
        page = pages[int(self.seqs_of_pages[self.corpus.pages[index]])]
        side = SIDES[self.corpus.sides[index]]
        utterance = Utterance(page.page_id, page.seq, side, page.speaker(side), page.text(side), page.at)
        return Quote(
            utterance=utterance,
            score=float(self.ranking.scores[index]),
            cosine=float(self.ranking.cosines[index]),
            signals=self.ranking.signals(index),
        )
