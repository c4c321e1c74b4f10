"""Echoes: remaining answers that repeat content which only forgotten pages have."""

from __future__ import annotations

import random

import pytest

from memoryos.language.echoes import Echoes, EchoFinder
from tests.waiting import cpu_seconds


def found(forgotten: str, *remaining: tuple[str, str], reply: str = "I see.") -> Echoes:
    finder = EchoFinder()
    finder.add_forgotten(1, forgotten, reply)
    for number, (user_text, assistant_text) in enumerate(remaining, 2):
        finder.add_remaining(f"p{number}", number, user_text, assistant_text)
    return finder.result()


@pytest.mark.parametrize(
    ("forgotten", "answer"),
    [
        ("The code of my safe is SESAME4711.", "Your safe opens with sesame4711, you told me."),
        ("My PIN is 9931.", "It is 9931."),
        ("My sister Nora lives in Porto.", "Her name is Nora."),
        ("I am allergic to peanuts.", "You can't eat peanuts."),
        ("I was diagnosed with diabetes in the spring.", "You wrote: I was diagnosed with diabetes in the spring. Sorry!"),
        ("我对花生过敏,不能吃。", "你不能吃花生过敏的东西。"),
        ("Tôi bị dị ứng với tôm hùm Nauy9.", "Bạn không ăn được tôm hùm nauy9."),
    ],
)  # fmt: skip
def test_later_answer_with_forgotten_content_is_an_echo(forgotten: str, answer: str) -> None:
    assert found(forgotten, ("And what was it?", answer)).answers == {"p2"}


@pytest.mark.parametrize(
    ("forgotten", "other"),
    [
        ("My sister Nora lives in Porto.", ("I like tea.", "Tea is made of leaves.")),
        ("I saw it in 2021.", ("When?", "In 2021.")),
        ("See you on Monday then.", ("When?", "The shop opens on Monday.")),
        ("I like gardens.", ("Tell me about Paris.", "It has bridges, and gardens too. " + "So it goes on and on. " * 30)),
        ("", ("Hello", "Hello")),
    ],
)  # fmt: skip
def test_answer_with_common_words_is_no_echo(forgotten: str, other: tuple[str, str]) -> None:
    assert found(forgotten, other).answers == frozenset()


def test_content_in_remaining_user_text_is_not_traced_but_codes_are_listed() -> None:
    echoes = found("My PIN is 9931.", ("Is 9931 a good PIN?", "No."), ("And now?", "9931 is still a bad PIN."))
    assert echoes == Echoes(frozenset(), frozenset({"p2", "p3"}))


def test_earlier_answer_is_no_echo() -> None:
    finder = EchoFinder()
    finder.add_forgotten(5, "So my code is SESAME4711.", "")
    finder.add_remaining("p1", 1, "Give me a code.", "Take SESAME4711.")
    finder.add_remaining("p6", 6, "Which one was it?", "SESAME4711.")
    assert finder.result().answers == frozenset()


def test_repeated_assistant_sentence_is_listed_only() -> None:
    reply = "Let me know if you need anything else."
    echoes = found("Thanks a lot.", ("Bye for now.", f"Of course. {reply}"), reply=reply)
    assert echoes == Echoes(frozenset(), frozenset({"p2"}))


def seconds_of(pages: int) -> float:
    chooser = random.Random(pages)  # noqa: S311  (no secret)
    texts = [" ".join(chooser.choice(("alpha", "beta", "gamma")) for _ in range(60)) + "." for _ in range(pages)]

    def find() -> None:
        finder = EchoFinder()
        for number, text in enumerate(texts[: pages // 2]):
            finder.add_forgotten(number, text, text)
        for number, text in enumerate(texts[pages // 2 :]):
            finder.add_remaining(str(number), pages + number, text, text)
        finder.result()

    return cpu_seconds(find)


def test_echo_search_takes_linear_time() -> None:
    assert seconds_of(4_000) < 3 * seconds_of(2_000)
