"""The retriever: ranks and packs the memory of a scope for a query, in the same way for every database (§3.4)."""

from __future__ import annotations

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.errors import DimensionMismatchError
from memoryos.model import ABOUT, Utterance
from memoryos.optional_methods import CompleteEmbedder
from memoryos.retrieval.packing import PackingInput, pack_pages, pack_tokens
from memoryos.retrieval.question import read_question
from memoryos.retrieval.ranking import rank, rank_entries
from memoryos.retrieval.recall import Quote, Recall, RecalledKnowledge, RecalledPage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.config import Config, RankingWeights
    from memoryos.model import Page
    from memoryos.retrieval.packing import Candidate, PackedPage, Packing
    from memoryos.retrieval.question import Question
    from memoryos.retrieval.ranking import Ranking
    from memoryos.retrieval.snapshot import ScopeSnapshot
    from memoryos.retrieval.working_sets import WorkingSets
    from memoryos.seams import Embedder
    from memoryos.storage.store import Store

__all__ = ["Retriever"]

QUOTES = 5
"""Number of best-matching utterances in ``Recall.quotes``."""
RESCORED = 200
"""Rescore this many top utterances with exact cosines when only codes of the vectors are in memory (ADR 13)."""
UNSUPPORTED_LANGUAGE_SHARE = 0.25
"""Factor on the weight "meaning" for a question in a language that the embedder does not support (ADR 11)."""


class Retriever:
    """Ranks the memory of a scope for a query and packs the best of it. Writes nothing.

    Args:
        store: The store.
        embedder: Embeds the queries.
        working_sets: Cache of the searchable snapshots.
        config: The settings.
    """

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
            scope_id: The scope.
            query: The question, validated.
            now: The time to which "yesterday" in the query is relative.
            max_pages: Maximum number of pages; default: ``retrieval_queue_capacity``, or no limit with ``max_tokens``.
            max_tokens: Maximum of the estimated tokens of the pages.
            ranking: Weights of the signals; default: as configured.
            near_misses: Number of next best pages to return as ``Recall.near_misses``.
            short_term_capacity: Number of newest pages to return as short-term memory instead of ranking them; default:
                as configured.

        Raises:
            EmbeddingError: If the embedder failed.
            StoreError: If the store can't be read.
        """
        with self._load_model(query):
            snapshot = self._working_sets.get(scope_id)
        question = read_question(query, speakers=snapshot.speaker_names, now=now)
        vector = self._embedder.embed_queries([question.dense_text])[0]
        if vector.shape != (self._embedder.dimensions,):
            raise DimensionMismatchError(self._embedder.dimensions, vector.shape[-1])
        weights = self._weights(ranking or self._config.ranking, question)
        ranked = self._rank(snapshot, question, vector, weights)
        window = self._window(snapshot, short_term_capacity)
        selection = self._select(snapshot, ranked, window, max_pages, max_tokens, near_misses)
        pages = self._store.log.at(scope_id, selection.seqs())
        return Recall(
            query=query,
            pages=selection.pages(selection.packing.pages, pages),
            knowledge=self._rank_knowledge(snapshot, question, vector, weights),
            profile=snapshot.long_term.profile,
            short_term=tuple(pages[seq] for seq in selection.window if seq in pages),
            quotes=selection.quoted(pages),
            near_misses=selection.pages(selection.near_misses, pages),
            tokens=math.ceil(selection.packing.tokens),
        )

    def _weights(self, weights: RankingWeights, question: Question) -> RankingWeights:
        """Returns the weights, with less for "meaning" if the embedder does not support the question's language."""
        known = self._embedder.languages
        if known is None or question.language is None or question.language in known:
            return weights
        return weights.model_copy(update={"meaning": weights.meaning * UNSUPPORTED_LANGUAGE_SHARE})

    @contextlib.contextmanager
    def _load_model(self, query: str) -> Iterator[None]:
        """Loads the model in a thread while the block runs, at the first recall only.

        Errors are ignored here, since embedding the query raises them again.
        """
        if self._is_warm:
            yield
            return
        self._is_warm = True
        with ThreadPoolExecutor(1, thread_name_prefix="memoryos-model") as executor:
            executor.submit(self._embedder.embed_queries, [query])
            yield

    def _rank(
        self, snapshot: ScopeSnapshot, question: Question, vector: NDArray[np.float32], weights: RankingWeights
    ) -> Ranking:
        if snapshot.is_switching:
            weights = weights.model_copy(update={"meaning": 0.0})
        corpus = snapshot.corpus()
        gate = self._gate(snapshot, vector)
        cosines = snapshot.vectors.cosines(vector)
        ranking = rank(corpus, question, cosines, weights, gate=gate)
        if snapshot.vectors.is_exact:
            return ranking
        exact = snapshot.vectors.rescore(cosines, vector, ranking.order[:RESCORED])
        return rank(corpus, question, exact, weights, gate=gate)

    def _gate(self, snapshot: ScopeSnapshot, vector: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        if self._config.segment_gate is None:
            return None
        return snapshot.segments.nearest(vector, self._config.segment_gate)

    def _select(
        self,
        snapshot: ScopeSnapshot,
        ranking: Ranking,
        window: Sequence[int],
        max_pages: int | None,
        max_tokens: int | None,
        near_misses: int,
    ) -> _Selection:
        source = _packing_input(snapshot, ranking, window)
        if max_tokens is None:
            packing = pack_pages(source, max_pages or self._config.retrieval_queue_capacity)
        else:
            packing = pack_tokens(source, max_tokens, max_pages)
        packed = {page.seq for page in packing.pages}
        return _Selection(
            ranking=ranking,
            packing=packing,
            near_misses=pack_pages(source, near_misses, exclude=packed).pages if near_misses else (),
            quotes=source.ranked(QUOTES),
            window=window,
        )

    def _window(self, snapshot: ScopeSnapshot, capacity: int | None) -> list[int]:
        """Returns the log positions of the pages in the short-term window, oldest first."""
        seqs = snapshot.utterances.page_seqs
        size = self._config.short_term_capacity if capacity is None else capacity
        seqs_in_window: list[int] = seqs[max(0, len(seqs) - size) :].tolist()
        return seqs_in_window

    def _rank_knowledge(
        self, snapshot: ScopeSnapshot, question: Question, vector: NDArray[np.float32], weights: RankingWeights
    ) -> tuple[RecalledKnowledge, ...]:
        entries = snapshot.long_term.knowledge
        if not entries:
            return ()
        ranking = rank_entries(snapshot.long_term.vectors, snapshot.long_term.words, vector, question, weights)
        recalled: list[RecalledKnowledge] = []
        for about in ABOUT:
            best = [index for index in ranking.order.tolist() if entries[index].about == about]
            recalled += [
                RecalledKnowledge(entries[index], float(ranking.scores[index]), ranking.signals(index))
                for index in best[: self._config.knowledge_recalled]
            ]
        return tuple(recalled)


def _packing_input(snapshot: ScopeSnapshot, ranking: Ranking, window: Sequence[int]) -> PackingInput:
    utterances = snapshot.utterances
    return PackingInput(
        order=ranking.order,
        seqs=utterances.page_seqs[utterances.pages],
        sides=utterances.sides,
        tokens=utterances.tokens,
        seconds=utterances.seconds,
        window_seq=window[0] if window else utterances.last_seq + 1,
    )


@dataclass(frozen=True, slots=True)
class _Selection:
    """The utterances and pages that a recall returns, before their texts are read from the log."""

    ranking: Ranking
    packing: Packing
    near_misses: tuple[PackedPage, ...]
    quotes: Sequence[Candidate]
    window: Sequence[int]

    def seqs(self) -> set[int]:
        """Returns the log positions of all selected pages."""
        pages = {page.seq for page in (*self.packing.pages, *self.near_misses)}
        return pages | {quote.seq for quote in self.quotes} | {*self.window}

    def pages(self, packed: Sequence[PackedPage], pages: Mapping[int, Page]) -> tuple[RecalledPage, ...]:
        """Returns these pages with their texts, without those that were forgotten after the snapshot.

        Args:
            packed: Selected pages.
            pages: The pages in the log, by position.
        """
        return tuple(
            RecalledPage(
                page=pages[each.seq],
                shown=tuple(candidate.side for candidate in each.shown),
                score=float(self.ranking.scores[each.best.row]),
                signals=self.ranking.signals(each.best.row),
                cosine=float(self.ranking.cosines[each.best.row]),
            )
            for each in packed
            if each.seq in pages
        )

    def quoted(self, pages: Mapping[int, Page]) -> tuple[Quote, ...]:
        """Returns the quotes with their texts, without those that were forgotten after the snapshot.

        Args:
            pages: The pages in the log, by position.
        """
        return tuple(self._quote(each, pages[each.seq]) for each in self.quotes if each.seq in pages)

    def _quote(self, candidate: Candidate, page: Page) -> Quote:
        side = candidate.side
        return Quote(
            utterance=Utterance(page.page_id, page.seq, side, page.speaker(side), page.text(side), page.at),
            score=float(self.ranking.scores[candidate.row]),
            cosine=float(self.ranking.cosines[candidate.row]),
            signals=self.ranking.signals(candidate.row),
        )
