"""Matching whose time is bounded: RE2 for any length of text, bounded patterns of ``re`` for the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LONGEST_CLAUSE", "Bounded", "linear"]

LONGEST_CLAUSE = 400
"""Characters of a sentence that grammar patterns read."""


class Bounded:
    """A pattern of ``re`` that finds nothing in a text longer than its bound; the length is checked before matching.

    Python's ``re`` backtracks and holds the GIL, so a slow match stops every thread of the process. Patterns that read
    whole texts must take linear time. A pattern whose time grows faster, as grammar rules with several open-ended
    parts do, is bounded instead, and must be fast for every text within its bound. Tests measure both.

    Args:
        pattern: As ``re.compile`` takes it.
        flags: Likewise.
        longest: Characters of the longest text that it reads.
    """

    __slots__ = ("_compiled", "longest")

    def __init__(self, pattern: str, flags: int = 0, *, longest: int = LONGEST_CLAUSE) -> None:
        self._compiled = re.compile(pattern, flags)
        self.longest = longest

    @property
    def pattern(self) -> str:
        """The pattern as it was written."""
        return self._compiled.pattern

    @property
    def flags(self) -> int:
        """The flags of the compiled pattern."""
        return self._compiled.flags

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Returns the first match from a place on; None if there is none or the text is too long."""
        return self._compiled.search(text, start) if len(text) <= self.longest else None

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Returns the match at a place; None if there is none or the text is too long."""
        return self._compiled.match(text, start) if len(text) <= self.longest else None

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Returns the match of the whole text; None if there is none or the text is too long."""
        return self._compiled.fullmatch(text) if len(text) <= self.longest else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yields the matches in order; none if the text is too long."""
        return self._compiled.finditer(text) if len(text) <= self.longest else iter(())

    def split(self, text: str) -> list[str]:
        """Returns the parts between the matches; the whole text if it is too long."""
        return self._compiled.split(text) if len(text) <= self.longest else [text]

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Returns the text with its matches replaced; unchanged if it is too long."""
        return self._compiled.sub(replacement, text) if len(text) <= self.longest else text


def linear(pattern: str) -> Any:
    r"""Returns a pattern of RE2, which takes linear time and does not hold the GIL.

    It has no look-around, and its ``\w``, ``\b``, ``\d`` and ``\s`` know ASCII only. Text with lone surrogates
    can't be matched. Searching for all matches is linear only if a match ends close behind the place that decides it:
    keep repetitions out of alternatives.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
