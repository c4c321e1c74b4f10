"""Plain texts: the words of one in ASCII, found once for everybody who looks at it in turn."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["plain_words"]

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


@lru_cache(maxsize=16)
def plain_words(text: str) -> tuple[str, ...] | None:
    """Returns the words of a text in ASCII, lower-cased, in order; None for any other text.

    Its language, its terms and its dates are read from them one after another, so the last few are kept.
    """
    return tuple(_WORD.findall(text.lower())) if text.isascii() else None
