"""Splits texts into windows: pieces that fit an embedding model's input."""

from __future__ import annotations

import bisect
import itertools
from typing import TYPE_CHECKING

from memoryos.models.unit_vectors import tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

__all__ = ["MAX_WINDOWS", "MAX_WINDOW_CHARACTERS", "tokenized_windows", "worded_windows"]

MAX_WINDOWS = 64
"""Only the first 64 windows of a text (about 12,000 words) have vectors; word search covers the rest."""
MAX_WINDOW_CHARACTERS = 4_000


def tokenized_windows(tokenizer: Tokenizer, text: str, max_tokens: int) -> list[str]:
    """Splits a text between words into at most 64 pieces of at most ``max_tokens`` tokens and 4,000 characters.

    Raises:
        EmbeddingError: If the text contains lone surrogates.
    """
    return list(itertools.islice(_windows(tokenizer, text, max_tokens), MAX_WINDOWS)) or [text]


def worded_windows(text: str, characters: int = MAX_WINDOW_CHARACTERS) -> list[str]:
    """Splits a text, between words if possible, into at most 64 pieces of at most ``characters`` characters."""
    windows: list[str] = []
    start = 0
    while len(text) - start > characters and len(windows) < MAX_WINDOWS:
        space = text.rfind(" ", start, start + characters)
        end = space + 1 if space > start else start + characters
        windows.append(text[start:end])
        start = end
    return [*windows, text[start:]][:MAX_WINDOWS]


def _windows(tokenizer: Tokenizer, text: str, max_tokens: int) -> Iterator[str]:
    """Yields the windows; tokenizes one block at a time, so that a caller that stops early saves work."""
    start = 0
    while start < len(text):
        block = text[start : start + MAX_WINDOW_CHARACTERS]
        cuts = _cuts(tokenizer, block, max_tokens, is_last=start + len(block) == len(text))
        for first, last in itertools.pairwise([0, *cuts]):
            yield block[first:last]
        start += cuts[-1]


def _cuts(tokenizer: Tokenizer, block: str, max_tokens: int, *, is_last: bool) -> list[int]:
    """Returns the ends of the windows in a block, as character offsets: between words, unless a word is too long.

    The text after the last offset belongs to the next block, because its last word may continue there.
    """
    encoding = tokenize(tokenizer, block, with_special_tokens=False)
    words, offsets = encoding.word_ids, encoding.offsets
    starts = [number for number in range(len(words)) if number == 0 or words[number] != words[number - 1]]
    cuts: list[int] = []
    first = 0
    while len(words) - first > max_tokens:
        word = starts[bisect.bisect_right(starts, first + max_tokens) - 1]
        first = word if word > first else first + max_tokens
        cuts.append(offsets[first][0])
    if is_last:
        return [*cuts, len(block)]
    if not cuts:
        whole = offsets[starts[-1]][0] if starts else 0
        cuts.append(whole or len(block))
    return cuts
