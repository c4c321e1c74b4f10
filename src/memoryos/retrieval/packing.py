"""Packing: which of the ranked utterances fill the pages or the tokens that were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from memoryos.retrieval.recall import date_heading, line_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["PackedPage", "Shelves", "pack_pages", "pack_tokens"]

_PART = 64
"""So many utterances are tried before those that no longer fit are taken out of what waits."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """What packing needs to know of the utterances, by their place in the working set.

    Attributes:
        pages: ``int32[n]``: page number of each utterance; ascending.
        tokens: ``float32[n]``: estimated tokens of its line.
        seconds: ``float64[n]``: its POSIX time, which decides under which date it stands.
        shown_already: Page numbers from here on are in short-term memory and never repeated.
    """

    pages: NDArray[np.int32]
    tokens: NDArray[np.float32]
    seconds: NDArray[np.float64]
    shown_already: int


@dataclass(slots=True)
class PackedPage:
    """One page of the packing: its number, its best utterance, the utterances that are shown."""

    page: int
    best: int
    shown: list[int]


def pack_pages(order: Iterable[int], shelves: Shelves, max_pages: int) -> tuple[list[PackedPage], float]:
    """Returns the best pages, whole, best first, and their estimated tokens."""
    packed: dict[int, PackedPage] = {}
    for index in order:
        page = int(shelves.pages[index])
        if page >= shelves.shown_already or page in packed:
            continue
        first, end = shelves.pages.searchsorted([page, page + 1])
        packed[page] = PackedPage(page, int(index), list(range(int(first), int(end))))
        if len(packed) == max_pages:
            break
    tokens = _Tokens(shelves)
    return list(packed.values()), sum(tokens.add(index) for each in packed.values() for index in each.shown)


def pack_tokens(
    order: NDArray[np.int64], shelves: Shelves, max_tokens: int, max_pages: int | None = None
) -> tuple[list[PackedPage], float]:
    """Returns the best utterances that fit, by page, and their estimated tokens.

    Utterances are taken in rank order; one that does not fit is passed over, and the next may. The line with the date
    is counted once for each date that is shown.
    """
    packed: dict[int, PackedPage] = {}
    tokens = _Tokens(shelves)
    used = 0.0
    waiting = order[shelves.pages[order] < shelves.shown_already]
    while len(waiting):
        for index in waiting[:_PART].tolist():
            page = int(shelves.pages[index])
            is_full = max_pages is not None and page not in packed and len(packed) == max_pages
            if is_full or used + tokens.price(index) > max_tokens:
                continue
            used += tokens.add(index)
            packed.setdefault(page, PackedPage(page, index, [])).shown.append(index)
        waiting = waiting[_PART:]
        waiting = waiting[shelves.tokens[waiting] <= np.float64(max_tokens - used)]
    for each in packed.values():
        each.shown.sort()
    return list(packed.values()), used


class _Tokens:
    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._dates: set[str] = set()

    def price(self, index: int) -> float:
        heading = self._heading(index)
        return float(self._shelves.tokens[index]) + (0.0 if heading in self._dates else line_tokens(heading))

    def add(self, index: int) -> float:
        price = self.price(index)
        self._dates.add(self._heading(index))
        return price

    def _heading(self, index: int) -> str:
        return date_heading(datetime.fromtimestamp(float(self._shelves.seconds[index]), timezone.utc).date())
