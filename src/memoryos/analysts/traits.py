"""Traits: the 90 dimensions of ``traits90.json``, read from a person's own statements, only where the words support it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from memoryos.analysts.attributes import statements
from memoryos.analysts.own_words import own_sentences
from memoryos.analysts.subjects import subject_of
from memoryos.analysts.trait_cues import CUES, INTERESTS
from memoryos.analysts.trait_words import DISLIKES, DOES, INTEREST_WORDS, LIKES, TO_THE_OTHER
from memoryos.language.matching import Bounded
from memoryos.model import SIDES, Level, Trait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from memoryos.model import Page
    from memoryos.seams import Material

__all__ = ["Dimension", "dimensions", "read_traits"]

Key = tuple[str, str]

STRONG_EVIDENCE = 2
"""Pages from which a trait is high or low; a single page makes it medium, but for an outspoken like or dislike."""
EVIDENCE_KEPT = 12
QUOTE_CHARACTERS = 120
_YOUNG_UNTIL = 35

_LIKES = Bounded(
    r"\b(?:i|we)(?:'m| am|'ve)?\s(?:\w+\s){0,2}?(?:love|like|enjoy|adore|prefer|loved|enjoyed|into|a (?:big |huge )?fan of|passionate about|interested in|"
    r"obsessed with)\b|\bmy (?:favou?rite|hobb(?:y|ies)|passion)|我.{0,8}(?:喜欢|热爱|爱|感兴趣)|" + LIKES,
    re.IGNORECASE,
)
_DISLIKES = Bounded(
    r"\bi\s(?:really\s)?(?:don't (?:really )?(?:like|enjoy|care for)|hate|dislike|can't stand|detest)|\bi(?:'m| am) not (?:a fan of|into|interested in)|"
    r"我.{0,6}(?:不喜欢|讨厌|不感兴趣|不爱)|" + DISLIKES,
    re.IGNORECASE,
)
_DOES = Bounded(
    r"\b(?:i|we)(?:'ve| have)?\s(?:\w+\s){0,2}?(?:went|go|play|played|practi[cs]e\w*|watch(?:ed)?|read|visited|visit|bought|made|joined|tr(?:y|ied)|started|"
    r"been|did|do|took|won|cook(?:ed)?|paint(?:ed)?|write|wrote)\b|我.{0,6}(?:去|看|读|买|做|参加|学|练|玩|拍|听)了?|"
    + DOES,
    re.IGNORECASE,
)

_JAPANESE = Bounded("[\u3040-\u30ff]")
_TO_THE_OTHER = Bounded(
    r"\b(?:love|like|enjoy|glad|happy)d? (?:that|how|when|your?|it when)\b|\byou(?:r|'re|'ve)?\b|你|" + TO_THE_OTHER,
    re.IGNORECASE,
)
"""Praise and questions show what the other one does."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One of the 90 dimensions: what high and low mean for it."""

    category: str
    name: str
    high: str
    low: str


@lru_cache(maxsize=1)
def dimensions() -> tuple[Dimension, ...]:
    """Returns the 90 dimensions in the order of the file."""
    text = (resources.files("memoryos.analysts") / "traits90.json").read_text(encoding="utf-8")
    return tuple(
        Dimension(each["category"], each["name"], each["high"], each["low"]) for each in json.loads(text)["dimensions"]
    )


def _compile_patterns() -> tuple[tuple[dict[Key, Bounded], Bounded], dict[Key, tuple[Bounded, Bounded]]]:
    rules = {
        (category, name): f"{rule}|{INTEREST_WORDS[name]}" if name in INTEREST_WORDS else rule
        for (category, name), rule in INTERESTS.items()
    }
    things = {key: Bounded(_bounded(rule), re.IGNORECASE) for key, rule in rules.items()}
    any_thing = Bounded("|".join(map(_bounded, rules.values())), re.IGNORECASE)
    cues = {key: (Bounded(high, re.IGNORECASE), Bounded(low, re.IGNORECASE)) for key, (high, low) in CUES.items()}
    return (things, any_thing), cues


def _bounded(rule: str) -> str:
    words = rule.split("|")
    latin = [word for word in words if word[0] < "\u2000"]
    wide = [word for word in words if word[0] >= "\u2000"]
    parts = ([rf"\b(?:{'|'.join(latin)})\b"] if latin else []) + wide
    return f"(?:{'|'.join(parts)})"


# Compiled at import like the other patterns of this package, so that reading the first page is not slower.
(_THINGS, _ANY_THING), _CUES = _compile_patterns()


def read_traits(material: Material) -> tuple[Trait, ...]:
    """Returns the traits that are new or have another level or more evidence, by subject, category and dimension.

    The assistant's traits are read only in pages with an assistant name, because then two people talk.
    """
    readers: dict[str, _TraitReader] = {}
    for page in material.pages:
        for side in SIDES:
            if side == "assistant" and page.assistant_name is None:
                continue
            subject = subject_of(material, page, side)
            if subject not in readers:
                readers[subject] = _TraitReader(subject, material.profile.traits)
            for sentence in own_sentences(page, side):
                readers[subject].read(sentence, page)
    return tuple(trait for _, reader in sorted(readers.items()) for trait in reader.changed())


class _TraitReader:
    """Collects the traits that one person's statements show. Evidence in the profile is kept and counted."""

    def __init__(self, subject: str, known: Iterable[Trait]) -> None:
        self._subject = subject
        known = [each for each in known if each.subject == subject]
        self._known = {(each.category, each.dimension): each for each in known}
        self._shown: dict[Key, dict[bool, dict[str, str]]] = {}
        self._spoken: set[tuple[Key, bool]] = set()

    def read(self, sentence: str, page: Page) -> None:
        """Reads one statement of the person."""
        text = sentence.replace("’", "'")
        for key, is_high, is_outspoken in _shown_by(text, page):
            self._shown.setdefault(key, {}).setdefault(is_high, {}).setdefault(page.page_id, text)
            if is_outspoken:
                self._spoken.add((key, is_high))

    def changed(self) -> tuple[Trait, ...]:
        """Returns the traits that are new or have another level or more evidence, by category and dimension."""
        found = [self._trait(key, sides) for key, sides in sorted(self._shown.items())]
        return tuple(
            each for each in found if each is not None and each != self._known.get((each.category, each.dimension))
        )

    def _trait(self, key: Key, sides: dict[bool, dict[str, str]]) -> Trait | None:
        known = self._known.get(key)
        is_high = len(sides.get(True, {})) >= len(sides.get(False, {}))
        shown = sides[is_high]
        before: tuple[str, ...] = ()
        if known is not None:
            was_high = known.level != "low"
            if was_high == is_high:
                before = known.evidence_page_ids
            elif len(shown) < len(known.evidence_page_ids):
                return None
        evidence = tuple(dict.fromkeys([*before, *shown]))[-EVIDENCE_KEPT:]
        is_sure = (
            len(evidence) >= STRONG_EVIDENCE
            or (key, is_high) in self._spoken
            or (known is not None and before and known.level != "medium")
        )
        level: Level = ("high" if is_high else "low") if is_sure else "medium"
        if level == "medium" and not is_high:
            return None
        meaning = next(
            (each.high if is_high else each.low for each in dimensions() if (each.category, each.name) == key), ""
        )
        quote = next(iter(shown.values()))
        quote = quote if len(quote) <= QUOTE_CHARACTERS else f"{quote[:QUOTE_CHARACTERS].rstrip()}…"
        return Trait(key[0], key[1], level, f"{meaning}: “{quote}”", evidence, self._subject)


def _shown_by(text: str, page: Page) -> Iterator[tuple[Key, bool, bool]]:  # noqa: C901  (one kind of cue after another)
    if _TO_THE_OTHER.search(text):
        return
    dislikes, likes, does = _DISLIKES.search(text), _LIKES.search(text), _DOES.search(text)
    if (dislikes or likes or does) and _ANY_THING.search(text):
        start = (dislikes or likes or does).end()  # type: ignore[union-attr]  # one of them matched
        start = 0 if _JAPANESE.search(text) else start  # its verb comes last
        for key, pattern in _THINGS.items():
            if pattern.search(text, start):
                yield key, not dislikes, bool(dislikes or likes)
    for key, (high, low) in _CUES.items():
        if low.search(text):
            yield key, False, False
        elif high.search(text):
            yield key, True, False
    for statement in statements(text, page.local_at):
        if statement.name == "gender":
            yield ("demographics", "gender"), statement.value == "female", True
        if statement.name == "birth_year":
            yield ("demographics", "age"), page.day.year - int(statement.value) <= _YOUNG_UNTIL, True
