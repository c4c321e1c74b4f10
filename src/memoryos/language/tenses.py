"""Finds out whether a sentence speaks of the past or the future at one place, for dates such as "on Monday"."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from memoryos.language.matching import Bounded
from memoryos.language.tense_words import BOUNDARIES, CUES
from memoryos.language.text import sentence_ends

if TYPE_CHECKING:
    from memoryos.language.languages import Language

__all__ = ["Direction", "direction_at", "sentence_around"]

Direction = Literal["ahead", "back"]
"""The direction in which a date lies, from the day on which it is named: the future or the past."""
_READ_AROUND = 300
"""Number of characters that are read before and after a place."""
_LONGEST_SENTENCE = 2 * _READ_AROUND + 100
_PATTERNS = {
    language: Bounded(
        "|".join(f"(?P<{cue}_{number}>{pattern})" for number, (cue, pattern) in enumerate(cues)),
        longest=_LONGEST_SENTENCE,
    )
    for language, cues in CUES.items()
}
_BOUNDARIES = {language: Bounded(pattern, longest=_LONGEST_SENTENCE) for language, pattern in BOUNDARIES.items()}


class _Found(NamedTuple):
    """A cue in a sentence.

    Attributes:
        start: Position of its first character.
        end: Position after its last character.
        direction: Its direction.
        weight: 0, 1 or 2. A cue counts only if its clause has no cue with a greater weight.
        clause: Number of its clause in the sentence.
    """

    start: int
    end: int
    direction: Direction
    weight: int
    clause: int


def sentence_around(text: str, start: int, end: int) -> tuple[str, int]:
    """Returns the sentence that contains a part of a text, and the position of the sentence in the text.

    At most 300 characters before and after the part are read.

    Args:
        text: The text.
        start: Position of the first character of the part.
        end: Position after the last character of the part.
    """
    first, last = max(0, start - _READ_AROUND), end + _READ_AROUND
    window = text[first:last]
    begin, finish = 0, len(window)
    for each in sentence_ends(window):
        if first + each <= start:
            begin = each
        elif first + each >= end:
            finish = each
            break
    return window[begin:finish], first + begin


def direction_at(sentence: str, start: int, end: int, language: Language) -> Direction | None:
    """Returns whether a sentence speaks of the past or the future at a date expression; None if it does not show this.

    The nearest verb of the clause decides; if the clause has none, the nearest verb of the sentence.

    Args:
        sentence: The sentence, in lower case.
        start: Position of the first character of the expression in the sentence.
        end: Position after the last character of the expression.
        language: The language of the sentence.
    """
    boundaries, cues = _read(sentence.replace("’", "'"), language)
    clause = sum(1 for each in boundaries if each < start)
    usable = [each for each in cues if each.end <= start or each.start >= end or each.direction == "back"]
    return _nearest([each for each in usable if each.clause == clause], start, end) or _nearest(usable, start, end)


def _nearest(cues: list[_Found], start: int, end: int) -> Direction | None:
    """Returns the direction of the cue that is nearest to a part of the sentence, of those with the greatest weight."""
    weight = max((each.weight for each in cues), default=0)
    strongest = [each for each in cues if each.weight == weight]
    nearest = min(strongest, key=lambda each: (max(start - each.end, each.start - end, 0), each.start), default=None)
    return None if nearest is None else nearest.direction


@lru_cache(maxsize=64)
def _read(sentence: str, language: Language) -> tuple[tuple[int, ...], tuple[_Found, ...]]:
    """Returns the positions of the boundaries between the clauses of a sentence, and its cues."""
    boundaries = tuple(match.start() for match in _BOUNDARIES[language].finditer(sentence))
    found: list[_Found] = []
    for match in _PATTERNS[language].finditer(sentence):
        cue = (match.lastgroup or "").partition("_")[0]
        if cue != "none":
            direction: Direction = "ahead" if cue.startswith("ahead") else "back"
            clause = sum(1 for each in boundaries if each < match.start())
            found.append(_Found(match.start(), match.end(), direction, int(cue[-1]), clause))
    return boundaries, tuple(found)
