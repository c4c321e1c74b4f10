"""Packing: selects in rank order what fits into the number of pages or tokens."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.retrieval.packing import PackingInput, pack_pages, pack_tokens
from memoryos.retrieval.prompt_lines import date_heading, line_tokens

DAY = 86_400
FIRST_SEQ = 11
lines = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 5)), min_size=1, max_size=300)


def packing_input(lines: list[tuple[int, int]], chance: Random, window: int, ranked: int = 1000) -> PackingInput:
    """Two utterances of one passage a page, given as (quarter tokens, day), ranked in random order; the last pages are the window."""
    quarters, days = zip(*lines, strict=True)
    seqs = FIRST_SEQ + np.arange(len(lines), dtype=np.int64) // 2
    order = list(range(len(lines)))
    chance.shuffle(order)
    return PackingInput(
        order=np.array(order[:ranked], np.int64),
        scores=-np.argsort(order).astype(np.float32),
        seqs=seqs,
        sides=(np.arange(len(lines)) % 2).astype(np.int8),
        parts=np.zeros(len(lines), np.int32),
        tokens=np.array(quarters, np.float32) / np.float32(4),
        seconds=np.array(days, np.float64) * DAY,
        window_seq=int(seqs[-1]) + 1 - window,
    )


def heading_tokens(source: PackingInput, row: int, headings: set[str]) -> float:
    heading = date_heading(np.datetime64(int(source.seconds[row] // DAY), "D").item())
    tokens = 0.0 if heading in headings else line_tokens(heading)
    headings.add(heading)
    return tokens


def pack_tokens_one_by_one(
    source: PackingInput, max_tokens: int, max_pages: int | None
) -> tuple[dict[int, list[int]], float]:
    """Returns the rows by page and the tokens, found by trying each utterance in rank order."""
    packed: dict[int, list[int]] = {}
    headings: set[str] = set()
    used = 0.0
    for row in source.order.tolist():
        seq = int(source.seqs[row])
        tried = set(headings)
        price = float(source.tokens[row]) + heading_tokens(source, row, tried)
        is_full = seq not in packed and len(packed) == max_pages
        if seq < source.window_seq and not is_full and used + price <= max_tokens:
            used += price
            headings = tried
            packed.setdefault(seq, []).append(row)
    return {seq: sorted(rows) for seq, rows in packed.items()}, used


@given(
    lines, st.randoms(use_true_random=False), st.integers(0, 2_000), st.none() | st.integers(1, 5), st.integers(0, 60)
)
def test_utterances_that_fit_are_packed_in_rank_order(
    lines: list[tuple[int, int]], chance: Random, max_tokens: int, max_pages: int | None, window: int
) -> None:
    source = packing_input(lines, chance, window)
    packing = pack_tokens(source, max_tokens, max_pages)
    rows_by_seq = {page.seq: [each.row for each in page.shown] for page in packing.pages}
    expected, used = pack_tokens_one_by_one(source, max_tokens, max_pages)
    assert list(rows_by_seq.items()) == list(expected.items())
    assert packing.tokens == used
    for page in packing.pages:
        assert page.best.row == next(row for row in source.order if row in rows_by_seq[page.seq])
        assert [each.side for each in page.shown] == [("user", "assistant")[each.row % 2] for each in page.shown]


@given(lines, st.randoms(use_true_random=False), st.integers(1, 8), st.integers(0, 60), st.integers(0, 300))
def test_whole_pages_are_packed_by_their_best_utterance(
    lines: list[tuple[int, int]], chance: Random, max_pages: int, window: int, ranked: int
) -> None:
    source = packing_input(lines, chance, window, ranked)
    packing = pack_pages(source, max_pages)
    allowed = [seq for seq in dict.fromkeys(source.seqs[source.order].tolist()) if seq < source.window_seq]
    assert [page.seq for page in packing.pages] == allowed[:max_pages]
    headings: set[str] = set()
    expected = 0.0
    for page in packing.pages:
        rows = np.flatnonzero(source.seqs == page.seq).tolist()
        assert [each.row for each in page.shown] == rows
        expected += sum(float(source.tokens[row]) + heading_tokens(source, row, headings) for row in rows)
    assert packing.tokens == pytest.approx(expected)
    rest = pack_pages(source, max_pages, exclude={page.seq for page in packing.pages})
    assert [page.seq for page in rest.pages] == allowed[max_pages : 2 * max_pages]
