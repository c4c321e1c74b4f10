"""Passages: the pieces of an utterance that are embedded, ranked and shown."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from memoryos.language.passages import MAX_EMBEDDED_PASSAGES, MAX_PASSAGE_TOKENS, cut_passages, passage_texts
from memoryos.models.minilm import MAX_TOKENS

PLAN = """Here is the plan for your trip.

## Day 1

**Morning:**
- Walk from the station to the old harbour and look at the fishing boats that come in before eight o'clock.
- Have breakfast at the market hall; the bakery at the entrance has the best rye bread of the whole town.

**Evening:**
1. Dinner at the small restaurant behind the church, where you have to order the fish soup a day before.
2. If it rains, the museum of navigation is open until nine on Thursdays, and it has a room full of compasses.

## Day 2

Take the ferry at ten. It crosses the bay in forty minutes, and the deck on the left side has the view of the
lighthouse. On the island, rent bicycles at the pier and ride to the northern beach, which is the quiet one.
"""
lines = st.lists(
    st.sampled_from(
        [
            "# Title",
            "**Bold**",
            "Shopping:",
            "- milk and bread",
            "1. call the bank.",
            "",
            "  ",
            "```",
            "| a | b |",
            "|--|--|",
        ]
    )
    | st.text(max_size=300)
    | st.text("ab .,\n你好。", min_size=100, max_size=900),
    max_size=40,
)


@given(lines)
def test_every_character_is_in_one_passage(drawn: list[str]) -> None:
    text = "\n".join(drawn)
    passages = cut_passages(text)
    assert passages
    pieces = [text[each.start : each.end] for each in passages]
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(one.end <= other.start for one, other in pairwise(passages))
    for passage in passages:
        spans = passage.spans()
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
        assert all(start < end for start, end in passage.headings)


def test_short_text_is_one_passage_with_its_white_space() -> None:
    for text in ("", " ", "Hello.\n\n- one\n- two ", "word " * 96, "我住在葡萄牙。" * 17):
        assert passage_texts(text) == [text]


def test_passages_of_a_plan_follow_its_structure_and_repeat_its_headings() -> None:
    first, second, *_, last = passage_texts(PLAN)
    assert first.startswith("Here is the plan for your trip.\n\n## Day 1\n\n**Morning:**\n- Walk from the station")
    assert second.startswith("## Day 1\n")
    assert any(each.startswith("**Evening:**\n") or "\n**Evening:**\n" in each for each in passage_texts(PLAN))
    assert last.startswith("## Day 2\n")
    compasses = next(each for each in cut_passages(PLAN) if "compasses" in each.text(PLAN))
    assert PLAN[compasses.headings[0][0] : compasses.headings[0][1]] == "## Day 1"


def test_rows_of_a_table_repeat_its_header() -> None:
    table = "| dish | allergens |\n|------|------|\n" + "".join(
        f"| soup number {n} | nuts, milk |\n" for n in range(60)
    )
    passages = passage_texts(f"Our menu for the whole month.\n\n{table}\nThat is all. {'Enjoy it. ' * 40}")
    assert all(each.startswith("| dish | allergens |\n") for each in passages[1:-4])
    assert not passages[-1].startswith("|")


def test_comments_in_code_are_no_headings() -> None:
    code = "```\n" + "# open the door of the oven\nopen_oven(door=1)\n" * 30 + "```"
    assert all(not each.headings for each in cut_passages(f"This does it:\n{code}"))


def test_long_sentences_are_cut_between_words_and_long_words_anywhere() -> None:
    for passage in passage_texts("bread and butter " * 300):
        assert passage.split()[0] in {"bread", "and", "butter"}
        assert passage.split()[-1] in {"bread", "and", "butter"}
    assert "".join(passage_texts("x" * 5_000)) == "x" * 5_000
    assert "".join(passage_texts("\ud800" * 5_000)) == "\ud800" * 5_000


@pytest.mark.parametrize(
    "text",
    [
        "The committee met on Tuesday and decided to postpone the vote. " * 100,
        "他昨天在里斯本的图书馆里看见了一只白色的猫。" * 60,
        "昨日、リスボンの図書館で白い猫を見かけました。" * 60,
        "Вчера он видел белую кошку в библиотеке. " * 60,
        "." * 20_000,
        "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6" * 40,
        "😀🎉" * 2_000,
        "".join(f"| {n} | {n * 7} | {n % 3} |\n" for n in range(500)),
    ],
    ids=["english", "chinese", "japanese", "russian", "dots", "digits", "emoji", "table"],
)
def test_built_in_model_reads_every_passage_to_its_end(text: str) -> None:
    file = resources.files("memoryos.models") / "assets" / "all-MiniLM-L6-v2" / "tokenizer.json"
    tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    passages = passage_texts(text)
    assert len(passages) > 1
    assert max(len(tokenizer.encode(each).ids) for each in passages) <= MAX_TOKENS


def test_passages_have_the_size_of_a_paragraph() -> None:
    text = "\n".join(f"- Point {n}: we agreed to meet the carpenter on day {n} at the house." for n in range(80))
    sizes = [len(each) / 4 for each in passage_texts(text)]
    assert all(40 <= each <= MAX_PASSAGE_TOKENS for each in sizes[:-1])
    assert MAX_EMBEDDED_PASSAGES * 40 > 2_000
