"""Windows: the pieces of a text that an embedder reads whole."""

from __future__ import annotations

import bisect
import itertools
from typing import TYPE_CHECKING

from memoryos.models.vectors import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

__all__ = ["CHARACTERS_A_WINDOW", "MAX_WINDOWS", "tokenized_windows", "worded_windows"]

MAX_WINDOWS = 64
"""Of a longer text the first 64 windows (about 12,000 words) have vectors; words find the rest."""
CHARACTERS_A_WINDOW = 4_000


def tokenized_windows(tokenizer: Tokenizer, text: str, room: int) -> list[str]:
    """Returns pieces of at most ``room`` tokens and 4,000 characters, cut between words; at most 64 of them.

    Raises:
        EmbeddingError: If the text is not encodable.
    """
    return list(itertools.islice(_windows(tokenizer, text, room), MAX_WINDOWS)) or [text]


def worded_windows(text: str, characters: int = CHARACTERS_A_WINDOW) -> list[str]:
    """Returns pieces of at most so many characters, cut between words where there are any; at most 64 of them."""
    windows: list[str] = []
    start = 0
    while len(text) - start > characters and len(windows) < MAX_WINDOWS:
        space = text.rfind(" ", start, start + characters)
        end = space + 1 if space > start else start + characters
        windows.append(text[start:end])
        start = end
    return [*windows, text[start:]][:MAX_WINDOWS]


def _windows(tokenizer: Tokenizer, text: str, room: int) -> Iterator[str]:
    """Yields the windows one block of characters at a time, so that a caller who wants few reads little."""
    start = 0
    while start < len(text):
        block = text[start : start + CHARACTERS_A_WINDOW]
        cuts = _cuts(tokenizer, block, room, is_last=start + len(block) == len(text))
        for first, last in itertools.pairwise([0, *cuts]):
            yield block[first:last]
        start += cuts[-1]


def _cuts(tokenizer: Tokenizer, block: str, room: int, *, is_last: bool) -> list[int]:
    """Returns where windows end inside a block, in characters: between words, unless a word fills a window.

    What stands behind the last cut is left for the next block, where its last word may go on.
    """
    encoding = tokenize(tokenizer, block, with_marks=False)
    words, offsets = encoding.word_ids, encoding.offsets
    starts = [number for number in range(len(words)) if number == 0 or words[number] != words[number - 1]]
    cuts: list[int] = []
    first = 0
    while len(words) - first > room:
        word = starts[bisect.bisect_right(starts, first + room) - 1]
        first = word if word > first else first + room
        cuts.append(offsets[first][0])
    if is_last:
        return [*cuts, len(block)]
    if not cuts:
        whole = offsets[starts[-1]][0] if starts else 0
        cuts.append(whole or len(block))
    return cuts
