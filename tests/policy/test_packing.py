"""Packing: the best pages, and the candidates for a budget of tokens, from the arrays of a ranking."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memoryos.retrieval.packing import (
    MAX_UTTERANCE_TOKENS,
    MIN_UTTERANCES,
    OVERSELECTION,
    PackingInput,
    pack_pages,
)

FIRST_SEQ = 11
lengths = st.lists(st.integers(1, 4), min_size=1, max_size=200)


def packing_input(lengths: list[int], chance: Random, window: int = 0, tokens: float = 20.0) -> PackingInput:
    """Two utterances a page, given as numbers of passages, ranked in random order; the last pages are the window."""
    count = sum(lengths)
    utterances = np.repeat(np.arange(len(lengths)), lengths)
    seqs = FIRST_SEQ + utterances // 2
    parts = np.concatenate([np.arange(each) for each in lengths])
    scores = np.array([chance.uniform(-3, 3) for _ in range(count)], np.float32)
    best = [int(max(np.flatnonzero(utterances == each), key=lambda row: scores[row])) for each in range(len(lengths))]
    return PackingInput(
        order=np.array(sorted(best, key=lambda row: -scores[row]), np.int64),
        scores=scores,
        seqs=seqs.astype(np.int64),
        sides=(utterances % 2).astype(np.int8),
        parts=parts.astype(np.int32),
        tokens=np.full(count, tokens, np.float32),
        window_seq=int(seqs[-1]) + 1 - window,
    )


@given(lengths, st.randoms(use_true_random=False), st.integers(1, 8), st.integers(0, 60))
def test_whole_pages_are_packed_by_their_best_passage(
    lengths: list[int], chance: Random, max_pages: int, window: int
) -> None:
    source = packing_input(lengths, chance, window)
    pages = pack_pages(source, max_pages)
    allowed = [seq for seq in dict.fromkeys(source.seqs[source.order].tolist()) if seq < source.window_seq]
    assert [page.seq for page in pages] == allowed[:max_pages]
    for page in pages:
        assert [each.row for each in page.shown] == np.flatnonzero(source.seqs == page.seq).tolist()
        assert page.best.score == max(each.score for each in page.shown)
    rest = pack_pages(source, max_pages, exclude={page.seq for page in pages})
    assert [page.seq for page in rest] == allowed[max_pages : 2 * max_pages]


def test_only_the_best_passages_of_a_very_long_utterance_are_packed() -> None:
    source = packing_input([1, 60], Random(1), tokens=100.0)  # noqa: S311  (no secret)
    (page,) = pack_pages(source, 1)
    shown = [each for each in page.shown if each.side == "assistant"]
    assert sum(each.tokens for each in shown) == MAX_UTTERANCE_TOKENS
    left_out = {*source.passages_of(page.seq)} - {*page.shown}
    assert min(each.score for each in shown) >= max(each.score for each in left_out)
    assert [each.row for each in shown] == sorted(each.row for each in shown)


@given(lengths, st.randoms(use_true_random=False), st.integers(1, 3_000), st.integers(0, 60))
def test_candidates_for_a_budget_are_the_best_utterances_with_all_their_passages(
    lengths: list[int], chance: Random, max_tokens: int, window: int
) -> None:
    source = packing_input(lengths, chance, window)
    found = source.utterances_for(max_tokens)
    outside = source.outside_window().tolist()
    assert [best.row for best, _ in found] == outside[: len(found)]
    tokens = sum(each.tokens for _, passages in found for each in passages)
    assert len(found) == len(outside) or (len(found) >= MIN_UTTERANCES and tokens > OVERSELECTION * max_tokens)
    for best, passages in found:
        assert [each.part for each in passages] == list(range(len(passages)))
        assert best in passages


@given(lengths, st.randoms(use_true_random=False), st.integers(1, 5))
def test_best_utterances_include_those_of_the_window(lengths: list[int], chance: Random, count: int) -> None:
    source = packing_input(lengths, chance, window=3)
    assert [each.row for each in source.best(count)] == source.order[:count].tolist()
