"""Plain texts: the words of one in ASCII, found once for everybody who looks at it in turn."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["ascii_words"]

_LONGEST_KEPT = 4_000
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def ascii_words(text: str) -> tuple[str, ...] | None:
    """Returns the words of a text in ASCII, lower-cased, in order; None for any other text.

    Language, terms and dates of a text are read from them one after another, so those of the last short texts are kept.
    """
    return _kept(text) if len(text) <= _LONGEST_KEPT else _found(text)


def _found(text: str) -> tuple[str, ...] | None:
    return tuple(_WORD.findall(text.lower())) if text.isascii() else None


_kept = lru_cache(maxsize=16)(_found)
