"""Unicode normalisation in linear time."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Literal

from memoryos.language.matching import linear

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["normalized"]

MOST_MARKS = 30
"""Maximum number of consecutive combining marks, from the Stream-Safe Text Format (Unicode Annex 15)."""
_TOO_MANY_MARKS = linear(rf"\pM{{{MOST_MARKS + 1}}}")


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """Returns the text in a Unicode normal form; drops combining marks beyond ``MOST_MARKS`` consecutive ones.

    ``unicodedata.normalize`` sorts longer runs in quadratic time and holds the GIL meanwhile.
    """
    if len(text) > MOST_MARKS and not text.isascii() and _TOO_MANY_MARKS.search(text.encode("utf-8", "replace")):
        text = "".join(_without_surplus_marks(text))
    return unicodedata.normalize(form, text)


def _without_surplus_marks(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if marks <= MOST_MARKS:
            yield character
