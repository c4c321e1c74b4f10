"""Speech: what a language needs to have so that statements about oneself are read in it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memoryos.language.matching import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from memoryos.analysts.notes import Note

__all__ = ["PROPER", "Speech", "compiled", "unmarked"]

PROPER = r"(?-i:[A-Z][\w'’-]*(?:\s(?:(?:de|da|do|dos|das|den|der|van|aan|het)\s){0,2}[A-Z][\w'’-]*){0,3})"
"""A name in Latin letters, without its marks."""


@dataclass(frozen=True, slots=True)
class Speech:
    """One language.

    Attributes:
        attributes: Name of an attribute and the pattern of a statement of it, whose groups ``value…`` hold the value.
        notes: By attribute, the knowledge entry with "{}" for the value; none for one that the profile alone keeps.
        statuses: Values of ``relationship_status`` as the notes say them, by what the pattern finds; lower case.
        joint: Where a sentence falls into clauses that are each about oneself.
        unsure: What makes a sentence no statement: conditions, wishes, questions, words of others.
        rephrase: Returns the note of a sentence about oneself, None where it says nothing durable.
    """

    attributes: tuple[tuple[str, Bounded], ...]
    notes: Mapping[str, str]
    statuses: tuple[str, ...]
    joint: Bounded
    unsure: Bounded
    rephrase: Callable[[str, datetime], Note | None]


def compiled(rules: tuple[tuple[str, str], ...]) -> tuple[tuple[str, Bounded], ...]:
    """Returns the patterns of a table; the case of letters does not matter unless a rule says so."""
    return tuple((name, Bounded(rule, re.IGNORECASE)) for name, rule in rules)


def unmarked(text: str) -> str:
    """Returns the text without marks above and below its letters, character for character: places stay."""
    if text.isascii():
        return text
    return "".join(map(_plain, text))


def _plain(letter: str) -> str:
    if letter in "đĐ":
        return "d" if letter == "đ" else "D"
    if letter < "\u00c0" or letter > "\u2000":
        return letter if letter not in "’‘" else "'"
    base = unicodedata.normalize("NFD", letter)[0]
    return base if base.isalpha() else letter
