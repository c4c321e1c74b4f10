"""Words of ASCII texts, cached because several functions read the same text in turn."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["ascii_words"]

_LONGEST_KEPT = 4_000
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def ascii_words(text: str) -> tuple[str, ...] | None:
    """Returns the lower-case words of an ASCII text, in order; None for any other text.

    The words of the last short texts are cached: language, terms and dates of a text are computed one after another.
    """
    return _kept(text) if len(text) <= _LONGEST_KEPT else _found(text)


def _found(text: str) -> tuple[str, ...] | None:
    return tuple(_WORD.findall(text.lower())) if text.isascii() else None


_kept = lru_cache(maxsize=16)(_found)
