"""Regular expressions with bounded running time: RE2 for texts of any length, or ``re`` with a limit on the length."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LONGEST_CLAUSE", "Bounded", "linear"]

LONGEST_CLAUSE = 400
"""Maximum number of characters of a sentence on which grammar patterns are matched."""


class Bounded:
    """A regular expression of ``re`` that matches nothing in texts longer than a limit.

    ``re`` backtracks and holds the GIL, so a slow match stops all threads of the process. Patterns that take more than
    linear time, such as grammar rules, must therefore have a limit, and must be fast for every text within the limit.
    Tests measure their running time.

    Args:
        pattern: The regular expression, as for ``re.compile``.
        flags: The flags, as for ``re.compile``.
        longest: Maximum number of characters of a text.
    """

    __slots__ = ("_compiled", "longest")

    def __init__(self, pattern: str, flags: int = 0, *, longest: int = LONGEST_CLAUSE) -> None:
        self._compiled = re.compile(pattern, flags)
        self.longest = longest

    @property
    def pattern(self) -> str:
        """The regular expression as text."""
        return self._compiled.pattern

    @property
    def flags(self) -> int:
        """The flags of the compiled pattern."""
        return self._compiled.flags

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Returns the first match at or after ``start``. Returns None without a match, or if the text is too long."""
        return self._compiled.search(text, start) if len(text) <= self.longest else None

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Returns the match that begins exactly at ``start``. Returns None without a match, or for a too long text."""
        return self._compiled.match(text, start) if len(text) <= self.longest else None

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Returns the match if the pattern matches the whole text. Returns None otherwise, or for a too long text."""
        return self._compiled.fullmatch(text) if len(text) <= self.longest else None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yields all matches in order. Yields nothing if the text is too long."""
        return self._compiled.finditer(text) if len(text) <= self.longest else iter(())

    def split(self, text: str) -> list[str]:
        """Splits a text at the matches. Returns the unsplit text as the only part if the text is too long."""
        return self._compiled.split(text) if len(text) <= self.longest else [text]

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Replaces all matches in a text. Returns the unchanged text if it is too long."""
        return self._compiled.sub(replacement, text) if len(text) <= self.longest else text


def linear(pattern: str) -> Any:
    r"""Compiles a pattern with RE2, which takes linear time per match and releases the GIL.

    Differences from ``re``: RE2 has no look-around. ``\w``, ``\b``, ``\d`` and ``\s`` match ASCII only. Text with lone
    surrogates can't be matched. Do not use repetitions inside alternatives: RE2 then reads far beyond the end of a
    match, and finding all matches would take quadratic time.
    """
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
