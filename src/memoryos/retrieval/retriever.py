"""The retriever: ranks and packs the memory of a scope for a query, in the same way for every database (§3.4)."""

from __future__ import annotations

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from memoryos.errors import DimensionMismatchError
from memoryos.language.passages import cut_passages
from memoryos.language.text import estimate_tokens
from memoryos.model import ABOUT, SIDES
from memoryos.optional_methods import CompleteEmbedder
from memoryos.retrieval.excerpts import Span, sorted_spans
from memoryos.retrieval.packing import PackingInput, pack_pages, shortened
from memoryos.retrieval.question import read_question
from memoryos.retrieval.ranking import rank, rank_entries
from memoryos.retrieval.recall import RECALLED_HEADING, Quote, Recall, RecalledKnowledge, RecalledPage
from memoryos.retrieval.selection import REPETITION_LOSS, ScoredUtterance, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from memoryos.config import Config, RankingWeights
    from memoryos.model import Page
    from memoryos.retrieval.packing import Candidate, PackedPage
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
"""Rescore this many top passages with exact cosines when only codes of the vectors are in memory (ADR 13)."""
UNSUPPORTED_LANGUAGE_SHARE = 0.25
"""The weight "meaning" is multiplied by this if the embedder does not support the question's language (ADR 11)."""


class Retriever:
    """Ranks the memory of a scope for a query and packs the best of it. Writes nothing.

    Args:
        store: The store.
        embedder: Embeds the queries.
        working_sets: Cache of the searchable snapshots.
        config: The settings.
        count_tokens: Counts the tokens of a text.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        working_sets: WorkingSets,
        config: Config,
        *,
        count_tokens: Callable[[str], float] = estimate_tokens,
    ) -> None:
        self._store = store
        self._embedder = CompleteEmbedder(embedder)
        self._working_sets = working_sets
        self._config = config
        self._count_tokens = count_tokens
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
            now: The current time. Relative dates such as "yesterday" are counted from its day in the configured time
                zone.
            max_pages: Maximum number of pages. Default: no limit if ``max_tokens`` is given, otherwise
                ``retrieval_queue_capacity``.
            max_tokens: Maximum tokens of the whole prompt. The recalled pages are selected as if they were alone in it.
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
        question = read_question(query, speakers=snapshot.speaker_names, now=now.astimezone(self._config.zone))
        vector = self._embedder.embed_queries([question.dense_text])[0]
        if vector.shape != (self._embedder.dimensions,):
            raise DimensionMismatchError(self._embedder.dimensions, vector.shape[-1])
        weights = self._weights(ranking or self._config.ranking, question)
        ranked = self._rank(snapshot, question, vector, weights)
        window = self._window(snapshot, short_term_capacity)
        source = _packing_input(snapshot, ranked, window)
        builder = _ResultBuilder(ranked, source, has_assistant=SIDES[1] in snapshot.speaker_names)
        pages, tokens = self._select(scope_id, builder, max_pages, max_tokens)
        quotes = builder.source.best(QUOTES)
        others = builder.near_misses(near_misses, pages)
        seqs = {*window, *(quote.seq for quote in quotes), *(other.seq for other in others)}
        read = self._store.log.at(scope_id, seqs)
        short_term = tuple(read[seq] for seq in window if seq in read)
        return Recall(
            query=query,
            pages=pages,
            knowledge=self._rank_knowledge(snapshot, question, vector, weights),
            profile=snapshot.long_term.profile,
            short_term=short_term,
            quotes=builder.quoted(quotes, read),
            near_misses=builder.pages(others, read),
            tokens=tokens,
            excerpts=builder.window_excerpts(short_term),
            short_term_passages=builder.window_passages(short_term),
            short_term_tokens=self._config.short_term_tokens,
            max_tokens=max_tokens,
            count_tokens=self._count_tokens,
        )

    def _select(
        self, scope_id: str, builder: _ResultBuilder, max_pages: int | None, max_tokens: int | None
    ) -> tuple[tuple[RecalledPage, ...], int]:
        """Returns the recalled pages, best first, and the tokens of their prompt."""
        count = self._count_tokens
        if max_tokens is None:
            packed = pack_pages(builder.source, max_pages or self._config.retrieval_queue_capacity)
            pages = builder.pages(packed, self._store.log.at(scope_id, {page.seq for page in packed}))
            shown = Recall("", pages, count_tokens=count)
        else:
            utterances = builder.source.utterances_for(max_tokens)
            read = self._store.log.at(scope_id, {best.seq for best, _ in utterances})
            pages = builder.pages_within(utterances, read, max_tokens, count, max_pages)
            shown = Recall("", pages, count_tokens=count).fitted(max_tokens)
        return shown.pages, math.ceil(count(shown.to_prompt()))

    def _weights(self, weights: RankingWeights, question: Question) -> RankingWeights:
        """Returns the weights, with less for "meaning" if the embedder does not support the question's language."""
        known = self._embedder.languages
        if known is None or question.language is None or question.language in known:
            return weights
        return weights.model_copy(update={"meaning": weights.meaning * UNSUPPORTED_LANGUAGE_SHARE})

    @contextlib.contextmanager
    def _load_model(self, query: str) -> Iterator[None]:
        """Context manager that loads the embedding model in a thread while its block runs.

        Only the first recall does this. Errors are ignored here, since embedding the query raises them again.
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

    def _window(self, snapshot: ScopeSnapshot, capacity: int | None) -> list[int]:
        """Returns the log positions of the pages in the short-term window, oldest first.

        If the window may use no tokens, it is empty, so that its pages are ranked like all others.
        """
        seqs = snapshot.passages.page_seqs
        size = self._config.short_term_capacity if capacity is None else capacity
        if not self._config.short_term_tokens:
            size = 0
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
    passages = snapshot.passages
    return PackingInput(
        order=ranking.order,
        scores=ranking.scores,
        seqs=passages.page_seqs[passages.pages],
        sides=passages.sides,
        parts=passages.parts,
        tokens=passages.tokens,
        window_seq=window[0] if window else passages.last_seq + 1,
    )


@dataclass(frozen=True, slots=True)
class _ResultBuilder:
    """Turns selected passages into the objects that a recall returns."""

    ranking: Ranking
    source: PackingInput
    has_assistant: bool

    def near_misses(self, count: int, shown: Sequence[RecalledPage]) -> tuple[PackedPage, ...]:
        """Returns the ``count`` best pages that are neither shown nor in the short-term window."""
        return pack_pages(self.source, count, exclude={each.page.seq for each in shown}) if count else ()

    def window_excerpts(self, window: Sequence[Page]) -> dict[str, tuple[Span, ...]]:
        """Returns the best passages of the pages that contain very long utterances, by page id."""
        excerpts: dict[str, tuple[Span, ...]] = {}
        for page in window:
            passages = self.source.passages_of(page.seq)
            kept = shortened(passages)
            if len(kept) < len(passages):
                excerpts[page.page_id] = _spans(page, kept)
        return excerpts

    def window_passages(self, window: Sequence[Page]) -> dict[str, tuple[tuple[Span, ...], ...]]:
        """Returns the spans of each passage of the pages, in the order of the text, by page id."""
        return {page.page_id: _spans_of_each(page, self.source.passages_of(page.seq)) for page in window}

    def pages(self, packed: Sequence[PackedPage], pages: Mapping[int, Page]) -> tuple[RecalledPage, ...]:
        """Returns the packed pages with their texts. Leaves out pages that were forgotten after the snapshot.

        Args:
            packed: Selected pages.
            pages: The pages in the log, by position.
        """
        return tuple(
            self._page(pages[each.seq], each.best, _spans(pages[each.seq], each.shown))
            for each in packed
            if each.seq in pages
        )

    def pages_within(
        self,
        utterances: Sequence[tuple[Candidate, Sequence[Candidate]]],
        pages: Mapping[int, Page],
        max_tokens: int,
        count_tokens: Callable[[str], float],
        max_pages: int | None,
    ) -> tuple[RecalledPage, ...]:
        """Returns the pages that fill a token budget, best first.

        Args:
            utterances: The best utterances with their passages.
            pages: The pages in the log, by position; those that were forgotten after the snapshot are missing.
            max_tokens: The budget.
            count_tokens: Counts the tokens of a text.
            max_pages: Maximum number of pages; None: no limit.
        """
        scored: list[ScoredUtterance] = []
        best: dict[str, Candidate] = {}
        for candidate, passages in utterances:
            page = pages.get(candidate.seq)
            if page is not None:
                scores = [each.score for each in passages]
                scored.append(ScoredUtterance(page, candidate.side, candidate.score, scores))
                best.setdefault(page.page_id, candidate)
        shown = select(
            scored,
            max_tokens - count_tokens(RECALLED_HEADING),
            count_tokens,
            max_pages=max_pages,
            repetition_loss=REPETITION_LOSS if self.has_assistant else 0.0,
        )
        found = [self._page(pages[best[page_id].seq], best[page_id], spans) for page_id, spans in shown.items()]
        return tuple(sorted(found, key=lambda each: -each.score))

    def _page(self, page: Page, best: Candidate, shown: tuple[Span, ...]) -> RecalledPage:
        return RecalledPage(
            page=page,
            shown=shown,
            score=float(self.ranking.scores[best.row]),
            signals=self.ranking.signals(best.row),
            cosine=float(self.ranking.cosines[best.row]),
        )

    def quoted(self, quotes: Sequence[Candidate], pages: Mapping[int, Page]) -> tuple[Quote, ...]:
        """Returns the quotes with their texts. Leaves out quotes of pages that were forgotten after the snapshot.

        Args:
            quotes: The best passage of each utterance to quote.
            pages: The pages in the log, by position.
        """
        return tuple(self._quote(each, pages[each.seq]) for each in quotes if each.seq in pages)

    def _quote(self, candidate: Candidate, page: Page) -> Quote:
        return Quote(
            utterance=page.utterance(candidate.side),
            score=float(self.ranking.scores[candidate.row]),
            cosine=float(self.ranking.cosines[candidate.row]),
            signals=self.ranking.signals(candidate.row),
            span=_spans(page, [candidate])[-1],
        )


def _spans(page: Page, shown: Sequence[Candidate]) -> tuple[Span, ...]:
    """Returns the spans of some passages of a page, in the order of the text.

    The headings that a passage repeats have spans of their own.
    """
    return sorted_spans(chain.from_iterable(_spans_of_each(page, shown)))


def _spans_of_each(page: Page, shown: Sequence[Candidate]) -> tuple[tuple[Span, ...], ...]:
    """Returns for each passage its spans: those of the headings that it repeats, and its own."""
    passages = {side: cut_passages(page.text(side)) for side in dict.fromkeys(each.side for each in shown)}
    return tuple(
        tuple(Span(each.side, start, end, each.score) for start, end in passages[each.side][each.part].spans())
        for each in shown
    )
