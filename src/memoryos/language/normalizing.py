"""Normalises Unicode text in linear time."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Literal

from memoryos.language.matching import linear

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["normalized"]

MAX_MARKS = 30
"""Maximum number of consecutive combining marks, from the Stream-Safe Text Format (Unicode Annex 15)."""
_TOO_MANY_MARKS = linear(rf"\pM{{{MAX_MARKS + 1}}}")


def normalized(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """Returns a text in a Unicode normal form.

    If more than 30 combining marks follow each other, the function first removes the marks after the 30th, because
    ``unicodedata.normalize`` would sort them in quadratic time while it holds the GIL.
    """
    if len(text) > MAX_MARKS and not text.isascii() and _TOO_MANY_MARKS.search(text.encode("utf-8", "replace")):
        text = "".join(_without_surplus_marks(text))
    return unicodedata.normalize(form, text)


def _without_surplus_marks(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if marks <= MAX_MARKS:
            yield character
