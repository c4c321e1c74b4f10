"""Packing: what fits is found in rank order, however many utterances wait."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memoryos.retrieval.packing import PackedPage, Shelves, pack_tokens
from memoryos.retrieval.recall import date_heading, line_tokens

DAY = 86_400
lines = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 5)), min_size=1, max_size=300)


def packed_one_by_one(
    order: list[int], shelves: Shelves, max_tokens: int, max_pages: int | None
) -> tuple[list[PackedPage], float]:
    """Goes through all of them and asks each whether it still fits."""
    packed: dict[int, PackedPage] = {}
    days: set[int] = set()
    used = 0.0
    for index in order:
        page, day = int(shelves.pages[index]), int(shelves.seconds[index] // DAY)
        heading = 0.0 if day in days else line_tokens(date_heading(np.datetime64(day, "D").item()))
        price = float(shelves.tokens[index]) + heading
        is_new = page not in packed and len(packed) == max_pages
        if page < shelves.shown_already and not is_new and used + price <= max_tokens:
            used += price
            days.add(day)
            packed.setdefault(page, PackedPage(page, index, [])).shown.append(index)
    return [PackedPage(each.page, each.best, sorted(each.shown)) for each in packed.values()], used


@given(
    lines, st.randoms(use_true_random=False), st.integers(0, 2_000), st.none() | st.integers(1, 5), st.integers(0, 60)
)
def test_the_best_that_fit_are_packed(
    said: list[tuple[int, int]], chance: object, max_tokens: int, max_pages: int | None, window: int
) -> None:
    quarters, days = zip(*said, strict=True)
    pages = np.arange(len(said), dtype=np.int32) // 2
    tokens = np.array(quarters, np.float32) / np.float32(4)
    shelves = Shelves(pages, tokens, np.array(days, np.float64) * DAY, max(0, int(pages[-1]) + 1 - window))
    order = list(range(len(said)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    assert pack_tokens(np.array(order, np.int64), shelves, max_tokens, max_pages) == packed_one_by_one(
        order, shelves, max_tokens, max_pages
    )
