"""Hidden reasoning is removed from whole replies and from streams split at any place."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoryos.models.thinking import strip_thinking, without_thoughts

WORDS = ["<think>", "</think>", "<thi", "nk>", "</", "think>", "<", ">", " ", "\n", "Hello", "你好", "{", "}", "a < b"]
texts = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=3)), max_size=12).map("".join)


def streamed(*pieces: str) -> str:
    return "".join(without_thoughts(pieces))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Hello", "Hello"),
        (" \n Hello \n", "Hello"),
        ("", ""),
        ("<think>What now?</think>Hello", "Hello"),
        ("\n<think>\nWhat now?\n</think>\n\nHello", "Hello"),
        ("<think></think>Hello", "Hello"),
        ("<think>one</think>\n<think>two</think> Hello", "Hello"),
        ("<think>a <think> b</think> Hello", "Hello"),
        ("<think>never closed", ""),
        ("<think>closed</think>", ""),
        ("<think>almost closed</think", ""),
        ("<thin", "<thin"),
        ("<think", "<think"),
        ("<thinking> is another tag", "<thinking> is another tag"),
        ("What now?\n</think>\n\nHello", "Hello"),
        ("What now?</think>\nHello", "Hello"),
        ("What now?\n</think>Hello", "Hello"),
        ("What now?\n</think>", ""),
        ("\n</think>\n\nHello", "Hello"),
    ],
)
def test_reasoning_is_removed_from_a_whole_reply(reply: str, expected: str) -> None:
    assert strip_thinking(reply) == expected


@pytest.mark.parametrize(
    "reply",
    [
        "You strip <think> from what your model says.",
        "It begins with <think> and ends with </think>.",
        '{"summary": "asks why <think> is shown", "pages": [1]}',
        '{"summary": "asks what </think> means", "pages": [1]}',
        '{"summary": "<think>a</think>"}',
        "It looks so:\n<think>\nWhat now?\n</think>\nand then comes the reply.",
        "The tag is </think>",
    ],
)
def test_tags_after_visible_text_are_kept(reply: str) -> None:
    assert strip_thinking(reply) == streamed(reply) == "".join(without_thoughts(iter(reply))) == reply


@given(texts, st.lists(st.integers(0, 60)))
def test_stream_result_does_not_depend_on_the_split(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[first:last] for first, last in itertools.pairwise(places)]
    assert "".join(pieces) == text
    assert streamed(*pieces) == streamed(text) == streamed(*text)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_only_reasoning_is_removed(reply: str, thoughts: list[str]) -> None:
    reply, thoughts = reply.replace("<", "("), [each.replace("<", "(") for each in thoughts]
    thinking = "".join(f"<think>{each}</think>\n" for each in thoughts)
    assert streamed(*(thinking + reply)) == reply.lstrip()
    assert strip_thinking(thinking + reply) == reply.strip()


@given(texts)
def test_whole_reply_is_a_suffix_of_the_streamed_reply(text: str) -> None:
    assert streamed(text).strip().endswith(strip_thinking(text))


def test_visible_text_is_yielded_without_delay() -> None:
    taken: list[str] = []

    def pieces() -> list[str]:
        return ["<th", "ink>a</thi", "nk>\n", " Hel", "lo", "", " <think>"]

    def watched() -> Iterator[str]:
        for piece in pieces():
            taken.append(piece)
            yield piece

    said = without_thoughts(watched())
    assert next(said) == "Hel"
    assert taken == pieces()[:4]
    assert next(said) == "lo"
    assert list(said) == [" <think>"]


def test_long_texts_take_linear_time() -> None:
    started = time.process_time()
    for text in ("\n" * 200_000, "</think>" * 50_000, "<" * 200_000, "<think>" + "x\n" * 100_000, " \n \t" * 50_000):
        strip_thinking(text)
        streamed(text)
    streamed(*("<think>" + "x" * 300_000))
    assert time.process_time() - started < 2
