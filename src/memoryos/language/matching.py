"""Regular expressions with bounded running time: RE2 for texts of any length, ``re`` with a length limit otherwise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LONGEST_CLAUSE", "Bounded", "linear"]

LONGEST_CLAUSE = 400
"""Maximum length of a sentence that grammar patterns match, in characters."""


class Bounded:
    """A pattern of ``re`` with a length limit: it matches nothing in a longer text, which costs no matching time.

    Python's ``re`` backtracks and holds the GIL, so a slow match stops all threads of the process. Patterns for whole
    texts must take linear time. Patterns whose time grows faster, such as grammar rules with several open-ended parts,
    have a length limit and must be fast for every text within it. Tests measure both.

    Args:
        pattern: As for ``re.compile``.
        flags: As for ``re.compile``.
        longest: The length limit in characters.
    """

    __slots__ = ("_compiled", "longest")

    def __init__(self, pattern: str, flags: int = 0, *, longest: int = LONGEST_CLAUSE) -> None:
        self._compiled = re.compile(pattern, flags)
        self.longest = longest

    @property
    def pattern(self) -> str:
        """The source of the pattern."""
        return self._compiled.pattern

    @property
    def flags(self) -> int:
        """The flags of the compiled pattern."""
        return self._compiled.flags

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Returns the first match at or after ``start``; None without a match or if the text is too long."""
        return self._compiled.search(text, start) if len(text) <= self.longest else None

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Returns the match at ``start``; None without a match or if the text is too long."""
        return self._compiled.match(text, start) if len(text) <= self.longest else None

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Returns the match of the whole text; None without a match or if the text is too long."""
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
    r"""Returns a compiled RE2 pattern, which takes linear time and releases the GIL.

    It has no look-around, and its ``\w``, ``\b``, ``\d`` and ``\s`` match ASCII only. Text with lone surrogates
    can't be matched. Finding all matches takes linear time only if RE2 need not read far beyond the end of a match:
    do not use repetitions in alternatives.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
