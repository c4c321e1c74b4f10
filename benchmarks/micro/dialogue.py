"""A made-up dialogue of any length, seeded: varied enough that words, vectors and topics differ from page to page."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

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


def exchanges(count: int, seed: int = 7) -> Iterator[tuple[str, str, datetime]]:
    """Yields (user's words, assistant's words, time): a few exchanges an evening."""
    chooser = random.Random(seed)
    at = START
    for number in range(count):
        words = {
            "place": chooser.choice(_PLACES),
            "hobby": chooser.choice(_HOBBIES),
            "person": chooser.choice(_PEOPLE),
            "thing": chooser.choice(_THINGS),
            "verb": chooser.choice(_VERBS),
            "feeling": chooser.choice(_FEELINGS),
            "number": chooser.randint(2, 9999),
        }
        yield chooser.choice(_USER).format(**words), chooser.choice(_ASSISTANT).format(**words), at
        at += timedelta(minutes=3) if number % 12 else timedelta(hours=15)


def questions(count: int, seed: int = 11) -> list[str]:
    """Returns questions of about a dozen words."""
    chooser = random.Random(seed)
    return [
        f"What did I say about the {chooser.choice(_THINGS)} that my {chooser.choice(_PEOPLE)} "
        f"{chooser.choice(_VERBS)} in {chooser.choice(_PLACES)}, number {number}?"
        for number in range(count)
    ]
