"""Generates a synthetic dialogue of any length from a random seed. Each evening has a theme with its own words.

The words come from the vocabulary of the built-in tokenizer. Some themes recur, as topics in real dialogues do.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib import resources

START = datetime(2025, 1, 1, 9, tzinfo=timezone.utc)

_PLACES = "Lisbon Kyoto Oslo Quito Nairobi Hanoi Porto Utrecht Osaka Recife Da-Nang Suzhou Ghent Malmö Cork Leeds Turin Graz".split()
_HOBBIES = "painting climbing baking chess gardening sailing pottery running cycling photography knitting astronomy fishing judo".split()
_PEOPLE = "sister brother neighbour colleague aunt cousin mother friend teacher landlord doctor coach grandfather niece".split()
_THINGS = "bicycle camera violin sofa laptop kettle guitar novel recipe ticket umbrella telescope passport lamp blanket tent".split()
_VERBS = "bought lost repaired found sold borrowed painted wrapped cleaned ordered returned photographed".split()
_FEELINGS = "happy tired curious nervous proud relaxed annoyed thrilled calm puzzled".split()
_USER = (
    "I {verb} a {thing} {number} with my {person} in {place} yesterday and I was {feeling} about it.",
    "I love {hobby}, especially when my {person} comes along to {place} for {number} days.",
    "Next month I'm planning a trip to {place}, where my {person} {verb} a {thing} years ago.",
    "My {person} told me that {hobby} in {place} costs {number} euros, which made me {feeling}.",
    "Can you help me choose between a {thing} and a course in {hobby}? My budget is {number}.",
)
_ASSISTANT = (
    "That sounds great! {place} is lovely for {hobby}. How did your {person} like the {thing}?",
    "I recommend trying {hobby} in {place} first; a {thing} can wait until you feel less {feeling}.",
    "You could ask your {person} to bring the {thing} to {place} next week, number {number} on the list.",
    "It's normal to feel {feeling} about a {thing}. What would your {person} say about {hobby}?",
)


THEMES = 600
WORDS_A_THEME = 24
LETTERS_A_WORD = 5
EXCHANGES_AN_EVENING = 12


def exchanges(count: int, seed: int = 7) -> Iterator[tuple[str, str, datetime]]:
    """Yields exchanges as (user's text, assistant's text, time). The twelve exchanges of an evening have one theme."""
    chooser = random.Random(seed)
    at = START
    theme: list[str] = []
    for number in range(count):
        if number % EXCHANGES_AN_EVENING == 0:
            theme = _theme(chooser.randrange(THEMES))
        words = {
            "place": chooser.choice(_PLACES),
            "hobby": chooser.choice(_HOBBIES),
            "person": chooser.choice(_PEOPLE),
            "thing": chooser.choice(_THINGS),
            "verb": chooser.choice(_VERBS),
            "feeling": chooser.choice(_FEELINGS),
            "number": chooser.randint(2, 9999),
        }
        user = chooser.choice(_USER).format(**words) if number % 4 == 0 else _musing(chooser, theme)
        assistant = chooser.choice(_ASSISTANT).format(**words) if number % 4 == 0 else _musing(chooser, theme)
        yield user, assistant, at
        at += timedelta(minutes=3) if (number + 1) % EXCHANGES_AN_EVENING else timedelta(hours=15)


def _musing(chooser: random.Random, theme: list[str]) -> str:
    one, two, three, four, five, six = chooser.sample(theme, 6)
    return f"The {one} {two} and the {three} {four}: {five} before {six}, {chooser.randint(2, 9999)} times."


def _theme(number: int) -> list[str]:
    return random.Random(number).sample(_vocabulary(), WORDS_A_THEME)


@cache
def _vocabulary() -> list[str]:
    file = resources.files("memoryos.models") / "assets" / "all-MiniLM-L6-v2" / "tokenizer.json"
    vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    return sorted(word for word in vocabulary if word.isascii() and word.isalpha() and len(word) >= LETTERS_A_WORD)


def questions(count: int, seed: int = 11) -> list[str]:
    """Returns questions of about twelve words."""
    chooser = random.Random(seed)
    return [
        f"What did I say about the {chooser.choice(_THINGS)} that my {chooser.choice(_PEOPLE)} "
        f"{chooser.choice(_VERBS)} in {chooser.choice(_PLACES)}, number {number}?"
        for number in range(count)
    ]
