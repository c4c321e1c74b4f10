"""Splits ASCII texts into words. Results are cached, because several functions split the same text in turn."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["ascii_words"]

_LONGEST_KEPT = 4_000
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def ascii_words(text: str) -> tuple[str, ...] | None:
    """Returns the lower-case words of an ASCII text, in order. Returns None if the text is not ASCII.

    The words of the last 16 short texts are cached.
    """
    return _kept(text) if len(text) <= _LONGEST_KEPT else _found(text)


def _found(text: str) -> tuple[str, ...] | None:
    return tuple(_WORD.findall(text.lower())) if text.isascii() else None


_kept = lru_cache(maxsize=16)(_found)
